"""What a start refuses or notices before its first step: another job in the folder, signals and a stopped rank; data sets of odd splits at evaluation."""

import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from runs import BINARY, Run, make_shards, ranks_of

STEPS = "train.steps=30"


def holder(run: Run, process: subprocess.Popen) -> int:
    """The process that holds the run directory, as soon as it does."""
    lock = run.folder / ".lock"
    deadline = time.monotonic() + 60
    while not (lock.exists() and (found := re.search(r"process (\d+)", lock.read_text()))):
        assert process.poll() is None and time.monotonic() < deadline, f"no lock:\n{run.log()}"
        time.sleep(0.002)
    return int(found[1])


def second_job_in_a_folder_is_refused_naming_the_first(folder, shards):
    run, other = Run(folder, "shared", shards), Run(folder, "other", shards)
    process = run.start(2, "train.steps=100000")
    run.wait_for_step(2, process)
    pid = holder(run, process)
    assert pid in ranks_of(process)
    assert other.train(2, STEPS, f"run.dir={run.folder}") == 69, other.log()
    assert f"process {pid}" in other.log() and "in use by another job" in other.log(), other.log()
    os.kill(pid, signal.SIGKILL)
    assert process.wait(timeout=60) != 0
    assert other.train(1, f"run.dir={run.folder}", "train.steps=1") == 0, other.log()  # the kernel gave the lock back


def signal_while_loading_ends_with_75(folder, shards):
    run = Run(folder, "early", shards)
    process = run.start(2, "train.steps=100000")
    os.kill(holder(run, process), signal.SIGUSR1)
    assert process.wait(timeout=100) == 75, run.log()
    assert len(run.steps()) < 100, "the signal was not honoured"


def rank_stopped_while_loading_ends_the_job_with_76(folder, shards):
    run = Run(folder, "stuck", shards)
    process = run.start(2, STEPS, "run.watchdog_s=6")
    first = holder(run, process)
    stopped = next(pid for pid in ranks_of(process) if pid != first)
    os.kill(stopped, signal.SIGSTOP)
    try:
        code = process.wait(timeout=60)
    finally:
        if pathlib.Path(f"/proc/{stopped}").exists():
            os.kill(stopped, signal.SIGKILL)
    assert code == 76 and "watchdog: rank 0 has made no progress" in run.log(), (code, run.log())


def findings_of_the_last_validation_stay_and_another_processor_is_told(folder, shards):
    run = Run(folder, "moved", shards)
    assert run.train(1, "train.steps=12", "train.evaluate_every=10", "checkpoint.every=11") == 0, run.log()
    shutil.rmtree(run.folder / "step-00000012")
    shutil.rmtree(run.folder / "best")
    os.environ["ATEN_CPU_CAPABILITY"] = "default"
    try:
        assert run.train(1, "train.steps=30", "run.max_time=0s", "train.evaluate_every=100") == 75, run.log()  # one step, no validation
    finally:
        del os.environ["ATEN_CPU_CAPABILITY"]
    extra = json.loads((run.folder / "step-00000012" / "manifest.json").read_text())["extra"]
    assert extra["computed_with"]["libtorch"] and extra["computed_with"]["processor"] == "DEFAULT", extra
    assert "was computed with" in run.log() and "may not be those of a straight run" in run.log(), run.log()
    assert extra["validation"]["step"] == 10, extra
    validations = [event for event in map(json.loads, (run.folder / "events.jsonl").read_text().splitlines()) if event["event"] == "validation"]
    assert validations and "auroc_interval_95" not in json.dumps(validations), "a validation pays for the bootstrap"


def full_disk_under_the_event_log_ends_all_ranks_with_74(folder, shards):
    if os.geteuid() != 0:
        print("not run here: a small file system needs root to be mounted")
        return
    disk = folder / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)], check=True)
    try:
        run = Run(folder, "full", shards)
        settings = ["train.steps=100000", f"run.dir={disk}", "train.evaluate_every=100000", "checkpoint.every=100000"]
        assert run.train(2, *settings) == 74, run.log()
        assert "events.jsonl: a line could not be written" in run.log() and "free some space" in run.log(), run.log()
        assert "MPI_ABORT" not in run.log() and len((disk / "events.jsonl").read_text().splitlines()) > 5, run.log()
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def evaluation_needs_no_training_rows_and_refuses_an_empty_split(folder, shards):
    run = Run(folder, "model", shards)
    assert run.train(1, "train.steps=2") == 0, run.log()
    cohort = folder / "cohort"  # with this salt both records fall into the test split
    made = [BINARY, "shards", "synth", "--out", str(cohort), "--records", "2", "--parts", "1", "--note-words", "20", "--salt", "d"]
    assert subprocess.run(made, capture_output=True).returncode == 0
    assert json.loads((cohort / "catalogue.json").read_text())["parts"][0]["rows"] == [0, 0, 2]

    def evaluate(split: str, *options: str) -> subprocess.CompletedProcess:
        out = str(folder / "-".join(("out", split, *options)))
        command = ["mpirun", "-n", "2", "--oversubscribe", "--bind-to", "none", BINARY, "evaluate", "--checkpoint", str(run.folder), "--shards", str(cohort)]
        return subprocess.run([*command, "--split", split, "--out", out, *options], capture_output=True, text=True)

    done = evaluate("test")
    assert done.returncode == 0, done.stderr
    metrics = json.loads((folder / "out-test" / "metrics.json").read_text())
    assert metrics["records"] == {"test": 2} and any("auroc_interval_95" in task for task in metrics["tasks"].values()), metrics
    cut = evaluate("test", "--pipeline", "2")  # blocks are measured on the records there are
    assert cut.returncode == 0 and "chosen from measured costs" in cut.stderr, cut.stderr
    assert (folder / "out-test---pipeline-2" / "predictions.csv").read_text() == (folder / "out-test" / "predictions.csv").read_text()
    for options in ((), ("--pipeline", "2")):
        empty = evaluate("train", *options)
        assert empty.returncode == 65 and 'has no records in split "train"' in empty.stderr and "(--split)" in empty.stderr, (empty.returncode, empty.stderr)
        assert "stages of" not in empty.stderr and not (folder / "-".join(("out", "train", *options))).exists(), empty.stderr  # before anything is measured
    training = Run(folder, "untrainable", cohort)
    for number, (ranks, *settings) in enumerate([(1,), (2, "parallel.pipeline=2"), (1, "parallel.memory_limit=4")], 1):
        assert training.train(ranks, STEPS, *settings) == 65, training.log()
        assert training.log().count("the training split has no records; build the shards with another split.salt or more records") == number, training.log()


CASES = [second_job_in_a_folder_is_refused_naming_the_first, signal_while_loading_ends_with_75, rank_stopped_while_loading_ends_the_job_with_76,
         findings_of_the_last_validation_stay_and_another_processor_is_told,
         full_disk_under_the_event_log_ends_all_ranks_with_74, evaluation_needs_no_training_rows_and_refuses_an_empty_split]


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        shards = make_shards(folder, 700)
        for case in CASES:
            case(folder, shards)
            print("passed:", case.__name__.replace("_", " "), flush=True)


if __name__ == "__main__":
    sys.exit(main())
