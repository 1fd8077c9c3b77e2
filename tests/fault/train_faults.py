"""A run that is killed, signalled, out of time or hung ends as it should, and goes on to the bits of a run that nothing happened to."""

import os
import pathlib
import signal
import subprocess
import sys
import tempfile

from runs import BINARY, Run, expect_equal, make_shards, ranks_of

STEPS = "train.steps=30"


def killed_rank_resumes_on_another_number_of_ranks(folder, shards, straight):
    run = Run(folder, "killed", shards)
    process = run.start(2, STEPS)
    run.wait_for_step(17, process)
    os.kill(ranks_of(process)[1], signal.SIGKILL)
    assert process.wait(timeout=60) != 0, "mpirun did not notice"
    assert not (run.folder / "step-00000030").exists(), "the run was over before the kill"
    assert run.train(3, STEPS) == 0, run.log()
    assert "going on after step" in run.log()
    expect_equal(run, straight, 30)


def signal_to_one_rank_saves_on_all_after_the_same_step(folder, shards, straight):
    run = Run(folder, "signalled", shards)
    process = run.start(2, STEPS)
    run.wait_for_step(5, process)
    os.kill(ranks_of(process)[1], signal.SIGUSR1)
    assert process.wait(timeout=60) == 75, run.log()
    saved = sorted(p.name for p in run.folder.glob("step-*"))[-1]
    step = int(saved.split("-")[1])
    assert step == len(run.steps()) < 30, (saved, len(run.steps()))
    assert run.train(1, STEPS) == 0, run.log()
    expect_equal(run, straight, 30)


def time_limit_saves_and_asks_for_a_requeue(folder, shards, straight):
    run = Run(folder, "limited", shards)
    ends = []
    while len(ends) < 40:
        ends.append(run.train(2, STEPS, "run.max_time=1s"))
        if ends[-1] == 0:
            break
        assert ends[-1] == 75, run.log()
    assert ends[-1] == 0 and ends.count(75) >= 1, ends
    expect_equal(run, straight, 30)


def hung_rank_ends_the_job_with_76(folder, shards, _):
    run = Run(folder, "hung", shards)
    process = run.start(3, STEPS, "run.watchdog_s=10")
    run.wait_for_step(4, process)
    stopped = ranks_of(process)[2]
    os.kill(stopped, signal.SIGSTOP)
    try:
        code = process.wait(timeout=60)
    finally:
        if pathlib.Path(f"/proc/{stopped}").exists():
            os.kill(stopped, signal.SIGKILL)
    assert code == 76, (code, run.log())
    assert "watchdog: rank" in run.log() and "missing ranks: stopped 2" in run.log(), run.log()
    assert list(run.folder.glob("watchdog-rank-*.txt")), "no report in the run directory"


def gradient_that_is_not_finite_ends_with_70_naming_step_and_block(folder, shards, _):
    run = Run(folder, "exploded", shards)
    code = run.train(2, STEPS, "optim.learning_rate=1000", "optim.clip_norm=0", "optim.weight_decay=1000", "train.max_skipped=3")
    assert code == 70, (code, run.log())
    assert "the gradient is not finite in block '" in run.log() and "3 step(s) in a row" in run.log(), run.log()
    skipped = [step for step in run.steps() if not step["applied"]]
    assert len(skipped) >= 3 and all("not_finite_in" in step for step in skipped), skipped


def data_set_that_does_not_fit_is_refused_by_name(folder, shards, straight):
    other = folder / "other"
    made = [BINARY, "shards", "synth", "--out", str(other), "--records", "100", "--steps", "24"]
    assert subprocess.run(made, capture_output=True).returncode == 0
    command = [BINARY, "evaluate", "--checkpoint", str(straight.folder), "--shards", str(other), "--out", str(folder / "none")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 65 and "hours of a series: trained with 48, the data set has 24" in done.stderr, (done.returncode, done.stderr)
    assert not (folder / "none").exists()


CASES = [gradient_that_is_not_finite_ends_with_70_naming_step_and_block, data_set_that_does_not_fit_is_refused_by_name, killed_rank_resumes_on_another_number_of_ranks, signal_to_one_rank_saves_on_all_after_the_same_step, time_limit_saves_and_asks_for_a_requeue, hung_rank_ends_the_job_with_76]


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        shards = make_shards(folder, 700)
        straight = Run(folder, "straight", shards)
        assert straight.train(1, STEPS) == 0, straight.log()
        assert len(straight.steps()) == 30
        for case in CASES:
            case(folder, shards, straight)
            print("passed:", case.__name__.replace("_", " "), flush=True)


if __name__ == "__main__":
    sys.exit(main())
