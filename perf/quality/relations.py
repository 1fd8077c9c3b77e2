"""Relations of BC5CDR: document-level F1 of the fine-tuned model, of its ablations and of the baseline text_bert, with paired bootstrap intervals.

    .deps/python-tests/bin/python perf/quality/relations.py --shards DIR --encoder FOLDER --out DIR [--seeds 1 2] [--only NAME ...] [--ranks 2]

--shards: BC5CDR with the encoder's vocabulary (shards/recipes/bc5cdr.toml). `fine-tuned` is launch/configs/bc5cdr.toml as it stands; the others have the
encoder frozen and its output cached under --out: `frozen` the same model, `no_*` with one part switched off each, `text_bert` the baseline. The threshold is
the one that the validation part of the training documents chose. Intervals: documents of the test split drawn with replacement, the same for both sides of a
difference, the F1 averaged over seeds inside each draw. Runs that stand under --out are not run again.
"""

import argparse
import csv
import json
import os
import pathlib
import subprocess
import time

import numpy

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = ROOT / "build/release/tributary"
TASK = "induces"
PARTS = ("hr_lstm", "dynamic_relu", "global_attention", "ms_cnn")
DRAWS = 5000


def variants(out):
    frozen = ["text.freeze=all", f"text.cache={out / 'cache'}", "train.epochs=5"]
    runs = {"fine-tuned": ("bc5cdr.toml", []), "frozen": ("bc5cdr.toml", frozen)}
    runs |= {f"no_{part}": ("bc5cdr.toml", [*frozen, f"use.{part}=false"]) for part in PARTS}
    return runs | {"text_bert": ("text_bert.toml", [*frozen, "data.negatives=0"])}


def call(folder, arguments, *command):
    """Seconds of one command on all ranks."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "log").open("a") as log:
        begin = time.monotonic()
        subprocess.run([ROOT / "launch/ranks", str(arguments.ranks), BINARY, *command], check=True, stderr=log, stdout=log, env=environment)
        return time.monotonic() - begin


def train(folder, config, settings, seed, arguments):
    given = [f"data.shards={arguments.shards}", f"run.dir={folder / 'run'}", f"text.pretrained={arguments.encoder}", f"train.seed={seed}", *settings]
    return call(folder, arguments, "train", ROOT / "launch/configs" / config, *(word for setting in given for word in ("--set", setting)))


def run(name, config, settings, seed, arguments):
    """Seconds of the training, with everything from start to the last checkpoint; a cache is built before, by a training of one step."""
    folder = arguments.out / f"{name}-{seed}"
    record = folder / "seconds.json"
    if record.exists():
        return json.loads(record.read_text())
    if any(setting.startswith("text.cache") for setting in settings):
        first = arguments.out / f"{name}-cache"
        if not (first / "done").exists():
            print(f"{name}: cache there after {train(first, config, [*settings, 'train.steps=1'], seed, arguments) / 60:.1f} min", flush=True)
            (first / "done").touch()
    seconds = train(folder, config, settings, seed, arguments)
    call(folder, arguments, "evaluate", "--checkpoint", folder / "run/best", "--shards", arguments.shards, "--split", "test", "--out", folder / "test")
    record.write_text(json.dumps(seconds))
    return seconds


def counts(folder):
    """{document: [right, called, related]} of the test split, at the threshold of the validation."""
    threshold = json.loads((folder / "test/metrics.json").read_text())["tasks"][TASK]["at_threshold"]["threshold"]
    pairs = {}
    with (folder / "test/predictions.csv").open(newline="") as lines:
        for line in csv.DictReader(lines):
            pairs.setdefault(line["record_id"], []).append((line["class"], float(line["probability"]), line["label"] == "1"))
    documents = {}
    for place, classes in pairs.items():
        (_, none, _), *others = classes
        called = 1 - none >= threshold
        best = max(range(len(others)), key=lambda k: others[k][1])
        truth = [k for k, (_, _, label) in enumerate(others) if label]
        sums = documents.setdefault(place.split("|")[0], numpy.zeros(3))
        sums += [called and best in truth, called, len(truth)]
    return documents


def f1(sums):
    right, called, related = sums[..., 0], sums[..., 1], sums[..., 2]
    return 2 * right / numpy.maximum(called + related, 1)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--shards", required=True, type=pathlib.Path)
    parser.add_argument("--encoder", required=True, type=pathlib.Path)
    parser.add_argument("--out", required=True, type=pathlib.Path)
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--only", nargs="+")
    parser.add_argument("--ranks", type=int, default=2)
    arguments = parser.parse_args()
    chosen = {name: value for name, value in variants(arguments.out).items() if not arguments.only or name in arguments.only}
    tables = {}
    for name, (config, settings) in chosen.items():
        seconds = [run(name, config, settings, seed, arguments) for seed in arguments.seeds]
        found = [counts(arguments.out / f"{name}-{seed}") for seed in arguments.seeds]
        documents = sorted(set().union(*found))
        tables[name] = numpy.array([[one.get(document, numpy.zeros(3)) for document in documents] for one in found])  # [seeds, documents, 3]
        each = f1(tables[name].sum(1))
        print(f"{name:20s} F1 {each.mean():.4f} ({', '.join(f'{value:.4f}' for value in each)}), {', '.join(f'{s / 60:.1f}' for s in seconds)} min", flush=True)
    draws = numpy.random.default_rng(1)
    for name, table in tables.items():
        base = tables.get("frozen")
        samples = draws.integers(0, table.shape[1], (DRAWS, table.shape[1]))
        own = numpy.array([f1(table[:, rows].sum(1)).mean() for rows in samples])
        text = f"{name:20s} 95 % interval {numpy.percentile(own, 2.5):.4f}-{numpy.percentile(own, 97.5):.4f}"
        if base is not None and name != "frozen":
            lost = numpy.array([f1(base[:, rows].sum(1)).mean() for rows in samples]) - own
            text += f"; frozen minus this {lost.mean():+.4f} ({numpy.percentile(lost, 2.5):+.4f} to {numpy.percentile(lost, 97.5):+.4f})"
        print(text)


if __name__ == "__main__":
    main()
