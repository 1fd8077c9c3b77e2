"""A run that is killed, signalled, out of time or hung ends as it should, and goes on to the bits of a run that nothing happened to."""

import os
import pathlib
import signal
import sys
import tempfile

from runs import Run, expect_equal, make_shards, ranks_of

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
    assert "watchdog: rank" in run.log() and "ranks behind or stopped on this node: 2" in run.log(), run.log()
    assert list(run.folder.glob("watchdog-rank-*.txt")), "no report in the run directory"


CASES = [killed_rank_resumes_on_another_number_of_ranks, signal_to_one_rank_saves_on_all_after_the_same_step, time_limit_saves_and_asks_for_a_requeue, hung_rank_ends_the_job_with_76]


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
