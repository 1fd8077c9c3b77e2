"""Where a run goes on from, what it keeps of the run before, and when it stops by itself."""

import json
import os
import pathlib
import shutil
import signal
import sys
import tempfile

from runs import Run, expect_equal, make_shards, ranks_of

STEPS = "train.steps=30"


def manifest(checkpoint: pathlib.Path) -> dict:
    return json.loads((checkpoint / "manifest.json").read_text())


def older_step_of_the_same_run_is_refused_while_later_ones_stand(folder, shards, straight):
    run = Run(folder, "older", shards)
    shutil.copytree(straight.folder, run.folder)
    older = run.folder / "step-00000028"
    before = sorted(p.name for p in run.folder.glob("[!.]*"))
    assert run.train(2, STEPS, resume=str(older)) == 64 and "step-00000030 stands after step 30, later than" in run.log(), run.log()
    assert sorted(p.name for p in run.folder.glob("[!.]*")) == before and len(run.steps()) == 30, "the refused run changed the folder"
    shutil.rmtree(run.folder / "step-00000030")
    shutil.rmtree(run.folder / "best")
    assert run.train(2, STEPS, resume=str(older)) == 0, run.log()
    assert "going on after step 28" in run.log()
    expect_equal(run, straight, 30)


def best_comes_along_to_another_folder_or_is_chosen_anew(folder, shards, straight):
    first = Run(folder, "first", shards)
    assert first.train(2, "train.steps=12") == 0, first.log()
    with_best = manifest(first.folder / "best")
    assert with_best["step"] in (10, 12)
    second = Run(folder, "second", shards)
    # lets no later state be better: the copy of the first run's best stays
    assert second.train(2, "train.steps=16", "optim.learning_rate=0", "train.evaluate_every=4", resume=str(first.folder / "step-00000012")) == 0, second.log()
    kept = manifest(second.folder / "best")
    assert kept["step"] == with_best["step"] and kept["content_digest"] == with_best["content_digest"], (kept["step"], with_best["step"])
    shutil.rmtree(first.folder / "best")
    third = Run(folder, "third", shards)
    assert third.train(1, "train.steps=16", "optim.learning_rate=0", "train.evaluate_every=4", resume=str(first.folder / "step-00000012")) == 0, third.log()
    assert "is not whole in" in third.log() and manifest(third.folder / "best")["step"] == 16, third.log()


def best_survives_a_resume(folder, shards, straight):
    run = Run(folder, "resumed", shards)
    process = run.start(2, STEPS)
    run.wait_for_step(11, process)
    os.kill(ranks_of(process)[0], signal.SIGUSR1)
    assert process.wait(timeout=60) == 75, run.log()
    assert manifest(run.folder / "best")["step"] == 10
    assert run.train(1, STEPS) == 0, run.log()
    ours, theirs = manifest(run.folder / "best"), manifest(straight.folder / "best")
    assert len(ours["tensors"]) > 20 and ours["content_digest"] == theirs["content_digest"], (ours["step"], theirs["step"])


def run_without_improvement_stops_early(folder, shards, _):
    run = Run(folder, "patient", shards)
    assert run.train(2, STEPS, "optim.learning_rate=0", "train.patience=2", "train.evaluate_every=3") == 0, run.log()
    assert "stopped early after step 9" in run.log(), run.log()  # best after 3, not better after 6 and 9
    assert len(run.steps()) == 9 and manifest(run.folder / "best")["step"] == 3
    assert manifest(run.folder / "step-00000009")["step"] == 9


CASES = [older_step_of_the_same_run_is_refused_while_later_ones_stand, best_comes_along_to_another_folder_or_is_chosen_anew, best_survives_a_resume, run_without_improvement_stops_early]


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        shards = make_shards(folder, 700)
        straight = Run(folder, "straight", shards)
        assert straight.train(1, STEPS) == 0, straight.log()
        for case in CASES:
            case(folder, shards, straight)
            print("passed:", case.__name__.replace("_", " "), flush=True)


if __name__ == "__main__":
    sys.exit(main())
