"""20 steps of lm_hhda on 1, 2, 3 and 4 ranks: parameters, optimizer state and losses equal bit for bit, with 8 and with 7 leaves a step; evaluation too."""

import json
import pathlib
import subprocess
import sys
import tempfile

from runs import BINARY, Run, expect_equal, make_shards

sys.path.append(str(pathlib.Path(__file__).parents[1] / "metrics"))
import recompute

STEPS = "train.steps=20"


def evaluate(run: Run, shards: pathlib.Path, ranks: int) -> pathlib.Path:
    out = run.folder / f"test-{ranks}"
    command = ["mpirun", "-n", str(ranks), "--oversubscribe", "--bind-to", "none", BINARY, "evaluate", "--checkpoint", str(run.folder / "best")]
    done = subprocess.run(command + ["--shards", str(shards), "--split", "all", "--out", str(out)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return out


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        shards = make_shards(folder, 700)
        for leaves in (7, 8):
            runs = {}
            for ranks in (1, 2, 3, 4):
                runs[ranks] = Run(folder, f"leaves{leaves}-ranks{ranks}", shards)
                assert runs[ranks].train(ranks, STEPS, f"train.global_batch={8 * leaves}") == 0, runs[ranks].log()
                if ranks > 1:
                    expect_equal(runs[ranks], runs[1], 20)
            assert {s["leaves"] for s in runs[1].steps()} >= {leaves}
        one, three = evaluate(runs[1], shards, 1), evaluate(runs[1], shards, 3)
        predictions = (one / "predictions.csv").read_text()
        assert predictions == (three / "predictions.csv").read_text(), "predictions depend on the number of ranks"
        assert len(predictions.splitlines()) > 700, "no predictions"
        recomputed = recompute.compare(one / "predictions.csv", one / "metrics.json")
        assert recomputed.count > 30 and not recomputed.faults, "\n".join(recomputed.faults)
        a, b = (json.loads((out / "metrics.json").read_text()) for out in (one, three))
        assert a == b and sum(a["records"].values()) == 700, a["records"]
        run_record = json.loads((runs[4].folder / "run.json").read_text())
        assert run_record["starts"][0]["grid"] == {"data": 4, "pipeline": 1} and run_record["reduction"] == "exact"
        refused = subprocess.run([BINARY, "train", str(runs[1].config), "--set", STEPS, "--resume", "never"], capture_output=True, text=True)
        assert refused.returncode == 64 and "former run" in refused.stderr, (refused.returncode, refused.stderr)


if __name__ == "__main__":
    sys.exit(main())
