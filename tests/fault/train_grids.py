"""lm_hhda with notes and missing modalities on grids data x pipeline: the bits of one rank, also when a run goes on over another grid; evaluation too; grids that
do not fit are refused with every factor."""

import pathlib
import subprocess
import sys
import tempfile

from runs import BINARY, Run, expect_equal, expect_equal_pipelines, make_shards

SETTINGS = ["train.steps=10"]  # 7 leaves a step


def evaluate(run: Run, shards: pathlib.Path, ranks: int, *options: str) -> str:
    out = run.folder / f"all-{ranks}{len(options)}"
    command = ["mpirun", "-n", str(ranks), "--oversubscribe", "--bind-to", "none", BINARY, "evaluate", "--checkpoint", str(run.folder / "best"), *options]
    done = subprocess.run(command + ["--shards", str(shards), "--split", "all", "--out", str(out)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return (out / "predictions.csv").read_text() + (out / "metrics.json").read_text()


def refusal(run: Run, ranks: int, *settings: str) -> str:
    assert run.train(ranks, *SETTINGS, *settings) in (64, 69), run.log()
    return run.log()


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        shards = make_shards(folder, 700)
        one = Run(folder, "one", shards)
        assert one.train(1, *SETTINGS) == 0, one.log()
        assert {s["leaves"] for s in one.steps()} >= {7}
        expect_equal_pipelines(folder, shards, one, 10, *SETTINGS)
        moved = Run(folder, "moved", shards)
        assert moved.train(2, *SETTINGS, "parallel.pipeline=2", "run.max_time=0s") == 75, moved.log()
        assert moved.train(4, *SETTINGS, "parallel.pipeline=4", "parallel.schedule=zb_v", "parallel.virtual_stages=2", "run.max_time=0s") == 75, moved.log()
        assert moved.train(3, *SETTINGS) == 0, moved.log()
        expect_equal(moved, one, 10)
        plain = evaluate(one, shards, 1)
        assert len(plain.splitlines()) > 700 and evaluate(one, shards, 2, "--pipeline", "2") == plain and evaluate(one, shards, 4, "--pipeline", "2") == plain
        told = refusal(Run(folder, "odd", shards), 3, "parallel.pipeline=2")
        assert "parallel.data = auto x parallel.pipeline = 2" in told and "3 is no multiple of 2" in told, told
        told = refusal(Run(folder, "deep", shards), 2, "parallel.pipeline=2", "parallel.virtual_stages=30", "parallel.schedule=interleaved")
        assert "60 stages" in told, told
        told = refusal(Run(folder, "cut", shards), 2, "parallel.pipeline=2", "parallel.partition=[1, 1]")
        assert "parallel.partition" in told, told


if __name__ == "__main__":
    sys.exit(main())
