"""text_mlm on raw text: training gives equal bits on 1 to 4 ranks, also with leaves by tokens and across a resume; evaluation hides the same tokens each time; the
exported folder is where lm_hhda and another pre-training begin."""

import json
import math
import pathlib
import subprocess
import sys
import tempfile

from raw_notes import BINARY, SETTINGS, make_raw_shards, tributary
from runs import Run, expect_equal, expect_equal_pipelines, make_shards

STEPS = "train.steps=12"


def evaluate(run: Run, shards: pathlib.Path, ranks: int, split: str) -> dict:
    out = run.folder / f"{split}-{ranks}"
    command = ["mpirun", "-n", str(ranks), "--oversubscribe", "--bind-to", "none", BINARY, "evaluate", "--checkpoint", str(run.folder / "best")]
    done = subprocess.run(command + ["--shards", str(shards), "--split", split, "--out", str(out)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "perplexity" in done.stdout and "accuracy" in done.stdout, done.stdout
    assert len((out / "predictions.csv").read_text().splitlines()) == 1, "lines about single tokens"
    return json.loads((out / "metrics.json").read_text())


def check_evaluation(run: Run, shards: pathlib.Path) -> None:
    told = evaluate(run, shards, 1, "validation")
    metrics = told["tasks"]["masked_tokens"]
    assert metrics["kind"] == "masked_token" and metrics["tokens"] > 100, metrics
    values = metrics["metrics"]
    assert abs(values["loss"] - told["loss"]["validation"]) < 1e-5 and abs(values["perplexity"] / math.exp(values["loss"]) - 1) < 1e-9, (values, told["loss"])
    assert 0 < values["accuracy"] < 1, values
    validations = [e for e in map(json.loads, (run.folder / "events.jsonl").read_text().splitlines()) if e["event"] == "validation"]
    assert len(validations) == 3
    best = [v for v in validations if v["best"]][-1]
    assert best["loss"] == told["loss"]["validation"], "the evaluation hides other tokens than the validation did"
    assert best["metrics"]["tasks"]["masked_tokens"] == metrics
    assert evaluate(run, shards, 1, "all") == evaluate(run, shards, 3, "all")


def check_what_follows(folder: pathlib.Path, run: Run, shards: pathlib.Path, first_loss: float) -> None:
    """Another pre-training begins where the exported folder stands, lm_hhda with its encoder."""
    tributary("export", "--checkpoint", run.folder / "best", "--out", folder / "export")
    encoder = folder / "export" / "encoder"
    config = json.loads((folder / "export" / "config.json").read_text())
    assert config["tasks"] == [{"name": "masked_tokens", "kind": "masked_token", "classes": []}], config["tasks"]
    further = Run(folder, "further", shards)
    pretrained = f"text.pretrained={encoder}"
    assert further.train(2, *SETTINGS, "train.steps=1", pretrained) == 0, further.log()
    assert "begins with random weights" not in further.log() and "left out" not in further.log(), further.log()
    assert further.steps()[0]["loss"] < first_loss - 0.3, (further.steps()[0]["loss"], first_loss)
    labelled = make_shards(folder, 100)
    tributary("shards", "retokenize", labelled, "--tokenizer", encoder)
    fused = Run(folder, "fused", labelled)
    assert fused.train(2, "train.steps=1", "text.freeze=all", pretrained) == 0, fused.log()
    assert "5 tensors are no part of the encoder" in fused.log(), fused.log()
    best = json.loads((run.folder / "best" / "manifest.json").read_text())["tensors"]
    theirs = fused.tensors(1)
    encoders = [name for name in best if name in theirs and "encoder." in name]
    assert len(encoders) == 21 and all(theirs[name] == best[name]["sha256"] for name in encoders), encoders


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        shards = make_raw_shards(folder, 260)
        assert json.loads((shards / "catalogue.json").read_text())["schema"]["tasks"] == []
        runs = {}
        for ranks in (1, 2, 3, 4):
            runs[ranks] = Run(folder, f"ranks{ranks}", shards)
            assert runs[ranks].train(ranks, *SETTINGS, STEPS) == 0, runs[ranks].log()
            if ranks > 1:
                expect_equal(runs[ranks], runs[1], 12)
        expect_equal_pipelines(folder, shards, runs[1], 12, *SETTINGS, STEPS)
        steps = runs[1].steps()
        assert all(set(step["task_losses"]) == {"masked_tokens"} for step in steps) and steps[-1]["epoch"] > 1
        assert steps[-1]["loss"] < steps[0]["loss"] - 0.3, (steps[0]["loss"], steps[-1]["loss"])
        assert "perplexity" in runs[1].log() and "AUROC" not in runs[1].log()

        one, cut = Run(folder, "one", shards), Run(folder, "cut", shards)
        by_tokens = (*SETTINGS, STEPS, "train.micro_batch_tokens=300", "text.freeze=0")
        assert one.train(1, *by_tokens) == 0, one.log()
        assert cut.train(2, *by_tokens, "run.max_time=0s") == 75, cut.log()
        assert cut.train(3, *by_tokens) == 0, cut.log()
        expect_equal(cut, one, 12)

        check_evaluation(runs[1], shards)
        check_what_follows(folder, runs[1], shards, steps[0]["loss"])
        shown = tributary("config", "show", runs[1].config, "--parameters", "--set", "model.family=text_mlm").stdout
        assert any(line.split()[0] == "cls" for line in shown.splitlines()), shown


if __name__ == "__main__":
    sys.exit(main())
