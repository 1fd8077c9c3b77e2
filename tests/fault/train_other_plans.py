"""Ranks that have another program, model, batches or checkpoint than their peers: all leave with 69 before they wait for each other, told what differs."""

import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

from runs import BINARY, CONFIG, Run, make_shards

MPIRUN = ["mpirun", "--oversubscribe", "--bind-to", "none"]
PROGRAM = pathlib.Path(BINARY).parent / "tests" / "broken_rank"


def expect_refused(command: list, parts: list[str], others: list[str], ranks: str = r"rank 0 on [^)]+\); \w+ \(rank 1 on [^)]+") -> None:
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=100)
    said = done.stdout + done.stderr
    assert done.returncode == 69, (done.returncode, said)
    for part in parts:
        assert re.search(rf"\n  {part}: \w+ \({ranks}\)", said), (part, said)
    for other in others:
        assert f"\n  {other}:" not in said, (other, said)
    assert "watchdog" not in said, said


def another_build(folder: pathlib.Path) -> pathlib.Path:
    """The same version, made of other bytes: what follows the last section is never loaded."""
    other = folder / "tributary"
    shutil.copy(BINARY, other)
    with open(other, "ab") as file:
        file.write(b"\0")
    return other


def rank_of_another_build_is_refused_in_training_and_evaluation(folder, shards):
    other = another_build(folder)
    said = [subprocess.run([program, "version"], capture_output=True, text=True).stdout for program in (BINARY, other)]
    assert said[0] == said[1] and said[0], said
    run = Run(folder, "builds", shards)
    options = ["train", run.config, "--set", "train.steps=1"]
    expect_refused([*MPIRUN, "-n", 1, BINARY, *options, ":", "-n", 1, other, *options], ["the program"], ["the settings as they were read"])
    assert not (run.folder / "run.json").exists()
    assert run.train(1, "train.steps=1") == 0, run.log()
    options = ["evaluate", "--checkpoint", run.folder, "--shards", shards, "--out", folder / "out"]
    expect_refused([*MPIRUN, "-n", 1, BINARY, *options, ":", "-n", 1, other, *options], ["the program"], ["the settings as they were read"])
    assert not (folder / "out").exists()


def rank_that_has_another_model_or_other_batches_is_refused(folder, shards):
    config = folder / "plans.toml"
    model, stages, batches = "the blocks of the model", "the cut of the model into stages", "which records form which leaf"
    for kind, parts, others in (("model", [model, stages], [batches]), ("batches", [batches], [model, stages])):
        for ranks, parallel in ((2, ""), (4, "[parallel]\npipeline = 2\n")):
            config.write_text(CONFIG.format(shards=shards, run=folder / "none").replace("[train]\n", "[train]\nsteps = 2\n") + parallel)
            who = r"rank 0 on [^)]+\); \w{12} \(rank 1 on [^)]+" if ranks == 2 else r"ranks 0 1 2 on [^)]+\); \w{12} \(rank 3 on [^)]+"
            expect_refused([*MPIRUN, "-n", ranks, PROGRAM, config, kind, 0, 0, -1], parts, others, who)


def rank_that_goes_on_from_or_evaluates_another_checkpoint_is_refused(folder, shards):
    run = Run(folder, "steps", shards)
    options = ["train", run.config, "--set", "run.dir=run"]
    for name, *settings in (("one", "train.steps=1"), ("two", "train.steps=2"), ("other", "train.steps=1", "optim.learning_rate=0.5")):  # a "best" on each node
        (folder / name).mkdir()
        words = [BINARY, *options, *(word for setting in settings for word in ("--set", setting))]
        done = subprocess.run([str(word) for word in words], cwd=folder / name, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    step, checkpoint = "the step after which the model stands", "the checkpoint"
    for places, parts, others in ((("one", "two"), [step, checkpoint], []), (("two", "one"), [step, checkpoint], []), (("one", "other"), [checkpoint], [step])):
        ranks = [["-n", 1, "-wdir", folder / place, BINARY, *options, "--set", "train.steps=4", "--resume", "run/best"] for place in places]
        expect_refused([*MPIRUN, *ranks[0], ":", *ranks[1]], parts, [*others, "the blocks of the model", "the program"])
    evaluation = ["evaluate", "--checkpoint", "run/best", "--shards", shards, "--split", "test", "--out", folder / "evaluated"]
    ranks = [["-n", 1, "-wdir", folder / place, BINARY, *evaluation] for place in ("one", "other")]
    expect_refused([*MPIRUN, *ranks[0], ":", *ranks[1]], [checkpoint], ["the program"])
    assert not (folder / "evaluated").exists()


CASES = [rank_of_another_build_is_refused_in_training_and_evaluation, rank_that_has_another_model_or_other_batches_is_refused,
         rank_that_goes_on_from_or_evaluates_another_checkpoint_is_refused]


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        shards = make_shards(folder, 160)
        for case in CASES:
            case(folder, shards)
            print("passed:", case.__name__.replace("_", " "), flush=True)


if __name__ == "__main__":
    sys.exit(main())
