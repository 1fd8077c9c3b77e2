"""Time to tokenize clinical prose, one thread: ours against Hugging Face's `encode_batch`, pass by pass in turn; the figure is the median of the ratios.

    .deps/python-tests/bin/python perf/ingest/tokenizer.py build/release/perf/perf_tokenizer --data ../shared/data --megabytes 30 --pairs 5
"""

import argparse
import csv
import gzip
import os
import pathlib
import statistics
import struct
import subprocess
import sys
import tempfile
import time

os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["RAYON_NUM_THREADS"] = "1"

import tokenizers
from tokenizers import BertWordPieceTokenizer

BATCH = 256


def prose(data: pathlib.Path, megabytes: float) -> list[str]:
    """The transcribed notes, again and again up to the size asked for."""
    csv.field_size_limit(1 << 30)
    with gzip.open(data / "mtsamples/mtsamples_dedup.csv.gz", "rt", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    column = max(rows[0], key=lambda name: sum(len(row[name] or "") for row in rows))
    notes = [row[column] for row in rows if row[column]]
    once = sum(len(note.encode()) for note in notes) / 1e6
    return notes * max(1, round(megabytes / once))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("program")
    parser.add_argument("--data", type=pathlib.Path, required=True)
    parser.add_argument("--megabytes", type=float, default=30)
    parser.add_argument("--pairs", type=int, default=5)
    arguments = parser.parse_args()
    texts = prose(arguments.data, arguments.megabytes)
    vocabulary = arguments.data / "bert-vocab/bert-base-uncased-vocab.txt"
    peer = BertWordPieceTokenizer(str(vocabulary), lowercase=True)
    encoded = [text.encode() for text in texts]
    size = sum(map(len, encoded)) / 1e6
    with tempfile.NamedTemporaryFile() as file:
        file.write(b"".join(struct.pack("<I", len(text)) + text for text in encoded))
        file.flush()
        own = subprocess.Popen([arguments.program, vocabulary, file.name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        ratios, rates, peer_rates = [], [], []
        for pair in range(arguments.pairs + 1):  # the first warms up
            own.stdin.write("\n")
            own.stdin.flush()
            seconds, tokens = own.stdout.readline().split()
            started, peer_tokens = time.perf_counter(), 0
            for i in range(0, len(texts), BATCH):
                peer_tokens += sum(map(len, peer.encode_batch(texts[i : i + BATCH], add_special_tokens=False)))
            peer_seconds = time.perf_counter() - started
            assert int(tokens) == peer_tokens > 0, (tokens, peer_tokens)
            if pair > 0:
                ratios.append(peer_seconds / float(seconds))
                rates.append(size / float(seconds))
                peer_rates.append(size / peer_seconds)
        own.stdin.close()
        own.wait()
    print(f"{size:.1f} MB in {len(texts)} notes, {tokens} tokens; tokenizers {tokenizers.__version__}")
    print(f"ours {statistics.median(rates):.0f} MB/s, encode_batch {statistics.median(peer_rates):.2f} MB/s; ratio {statistics.median(ratios):.1f} "
          f"(from {min(ratios):.1f} to {max(ratios):.1f}, {len(ratios)} pairs)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
