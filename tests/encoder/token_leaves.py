"""Leaves packed to a budget of tokens: as many as a step's notes need, and the same bits on 1, 2 and 3 ranks, across a resume too."""

import pathlib
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "fault"))
from runs import Run, expect_equal, make_shards  # noqa: E402

SETTINGS = ("train.steps=12", "train.micro_batch_tokens=130")


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        shards = make_shards(folder, 300)
        one, two, three = (Run(folder, kind, shards) for kind in ("one", "two", "three"))
        assert one.train(1, *SETTINGS) == 0, one.log()
        assert two.train(2, *SETTINGS) == 0, two.log()
        expect_equal(two, one, 12)
        assert three.train(1, *SETTINGS, "run.max_time=0s") == 75, three.log()
        assert three.train(3, *SETTINGS) == 0, three.log()
        expect_equal(three, one, 12)
        leaves = {step["leaves"] for step in one.steps()}
        assert len(leaves) > 1 and min(leaves) > 2, leaves
        by_records = Run(folder, "records", shards)
        assert by_records.train(1, SETTINGS[0]) == 0, by_records.log()
        assert [s["records"] for s in by_records.steps()] == [s["records"] for s in one.steps()]
        assert {s["leaves"] for s in by_records.steps()} != leaves


if __name__ == "__main__":
    sys.exit(main())
