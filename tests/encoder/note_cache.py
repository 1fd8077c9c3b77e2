"""A frozen encoder's cache: the same bits with and without it and on any number of ranks; a build that was cut off goes on; damage is found."""

import json
import pathlib
import subprocess
import sys
import tempfile

import h5py

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "fault"))
from runs import BINARY, Run, expect_equal, make_shards  # noqa: E402

FROZEN = ("train.steps=12", "text.freeze=all", "text.layers=2")


def segments(cache):
    (folder,) = [entry for entry in cache.iterdir() if entry.is_dir()]
    return sorted(folder.iterdir())


def tokens_of_records(shards):
    """Tokens of each record's notes, as the index says."""
    for path in shards.glob("part-*.h5"):
        with h5py.File(path) as part:
            yield from part["/index/tokens"][:]


def encoded(run):
    """How many segments the run computed, as its log says."""
    line = [line for line in run.log().splitlines() if "note cache" in line][-1]
    return int(line.split(" segments, ")[1].split()[0])


def evaluate(run, shards, out):
    done = subprocess.run([BINARY, "evaluate", "--checkpoint", str(run.folder), "--shards", str(shards), "--split", "test", "--out", str(out)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return (out / "predictions.csv").read_text(), "note cache" in done.stderr


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        shards = make_shards(folder, 300)
        cache = f"text.cache={folder / 'cache'}"
        off = Run(folder, "off", shards)
        assert off.train(1, *FROZEN) == 0, off.log()
        three = Run(folder, "three", shards)
        assert three.train(3, *FROZEN, cache) == 0, three.log()
        expect_equal(three, off, 12)
        files = segments(folder / "cache")
        assert encoded(three) == len(files) > 5, (encoded(three), len(files))
        bytes_of = {file.name: file.read_bytes() for file in files}

        # complete, cut off, damaged, built by another number of ranks: always the same bytes
        again = Run(folder, "again", shards)
        assert again.train(2, *FROZEN, cache) == 0, again.log()
        expect_equal(again, off, 12)
        assert encoded(again) == 0, again.log()
        files[0].unlink()
        files[2].unlink()
        damaged = bytearray(bytes_of[files[1].name])
        damaged[len(damaged) // 2] ^= 1
        files[1].write_bytes(damaged)
        files[3].write_bytes(bytes_of[files[3].name][:-7])
        repaired = Run(folder, "repaired", shards)
        assert repaired.train(1, *FROZEN, cache) == 0, repaired.log()
        expect_equal(repaired, off, 12)
        assert encoded(repaired) == 4 and repaired.log().count("is damaged") == 2, repaired.log()
        assert {file.name: file.read_bytes() for file in segments(folder / "cache")} == bytes_of, "the bytes depend on who computed them"

        # evaluation reads it where it is whole
        cached, used = evaluate(three, shards, folder / "test-cached")
        plain, unused = evaluate(off, shards, folder / "test-plain")
        assert used and not unused and cached == plain and len(cached.splitlines()) > 20

        # another encoder has another cache, and an encoder that is trained has none
        other = Run(folder, "other", shards)
        assert other.train(1, *FROZEN, cache, "train.seed=4", "train.steps=1") == 0, other.log()
        assert encoded(other) == len(files) and len(list((folder / "cache").iterdir())) == 2
        refused = Run(folder, "refused", shards)
        assert refused.train(1, "train.steps=1", cache) == 64 and "text.cache needs text.freeze" in refused.log(), refused.log()

        # a record of more tokens than are encoded together
        (folder / "long").mkdir()
        long = make_shards(folder / "long", 24, "--note-words", "1200", "--notes-per-record", "4")
        whole, parts = Run(folder, "whole", long), Run(folder, "parts", long)
        settings = ("train.steps=1", "train.global_batch=8", "text.freeze=all")
        assert whole.train(1, *settings) == 0, whole.log()
        assert parts.train(2, *settings, f"text.cache={folder / 'long-cache'}") == 0, parts.log()
        expect_equal(parts, whole, 1)
        longest = max(tokens_of_records(long))
        assert longest > 4096, longest
        record = json.loads((three.folder / "run.json").read_text())
        assert record["configuration_digest"] == json.loads((off.folder / "run.json").read_text())["configuration_digest"]


if __name__ == "__main__":
    sys.exit(main())
