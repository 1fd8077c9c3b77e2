"""One rank stops, dies, throws, or computes what is no number, in the middle of a step: what the others do, with which exit code, and what they say of it."""

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

import h5py

from runs import BINARY, CONFIG, Run, make_shards

PROGRAM = pathlib.Path(BINARY).parent / "tests" / "broken_rank"
ENDS = pathlib.Path(BINARY).parent / "tests" / "broken_ends"
STEP, LEAF = 2, 5  # counted from 0: of steps with 7 leaves
PIPELINES = "[parallel]\npipeline = 2\n"
WATCHDOG_S = 10


class Broken:
    """A run of the program with a fault, under way."""

    def __init__(self, folder, shards, ranks: int, kind: str, block: int, parallel: str = "", watchdog_s: int = 120, max_skipped: int = 10):
        config = folder / f"broken-{kind}.toml"
        text = CONFIG.format(shards=shards, run=folder / "none").replace("watchdog_s = 120", f"watchdog_s = {watchdog_s}")
        config.write_text(text.replace("[train]\n", f"[train]\nsteps = 5\nmax_skipped = {max_skipped}\n") + parallel)
        command = ["mpirun", "-n", str(ranks), "--oversubscribe", "--bind-to", "none", str(PROGRAM), str(config), kind, str(STEP), str(LEAF), str(block)]
        self.file = folder / "broken.log"
        with open(self.file, "w") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)

    def log(self) -> str:
        return self.file.read_text()

    def wait(self) -> int:
        return self.process.wait(timeout=200)

    def block(self) -> str:
        return re.search(r"the fault is in block '([^']+)'", self.log())[1]


def children_of(mpirun: subprocess.Popen) -> set[int]:
    try:
        return {int(pid) for pid in pathlib.Path(f"/proc/{mpirun.pid}/task/{mpirun.pid}/children").read_text().split()}
    except FileNotFoundError:
        return set()


def state(pid: int) -> str:
    """As the kernel writes it: T is stopped; Z, dead but not yet collected, counts as gone."""
    try:
        found = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return "gone"
    return "gone" if found in "ZX" else found


def seconds_until_all_left(mpirun: subprocess.Popen, ranks: int, broken: str) -> tuple[float, float]:
    """From the moment at which one rank, by itself, is `broken` (T or gone): until the last of the others has left, and until all have, mpirun too.

    Each is looked at every 2 ms: neither the start of the job nor its steps before the fault count.
    """
    pids: set[int] = set()
    hit: list[int] = []
    deadline = time.monotonic() + 150
    while not hit:
        pids |= children_of(mpirun)
        hit = [pid for pid in pids if state(pid) == broken] if len(pids) == ranks else []
        assert time.monotonic() < deadline, "no rank broke"
        time.sleep(0.002)
    since = time.monotonic()
    try:
        while any(state(pid) != "gone" for pid in pids - set(hit)) and time.monotonic() < since + 60:
            time.sleep(0.002)
        others = time.monotonic() - since
        mpirun.wait(timeout=60)
        return others, time.monotonic() - since
    finally:
        for pid in pids:
            if state(pid) == "T":
                os.kill(pid, signal.SIGKILL)


def expect_to_leave_in_time(mpirun: subprocess.Popen, ranks: int, broken: str, limit_s: float) -> None:
    others, all_of_them = seconds_until_all_left(mpirun, ranks, broken)
    print(f"the other ranks had left {others:.1f} s after one of them broke ({broken}), the job {all_of_them:.1f} s, with a limit of {limit_s} s")
    assert others < limit_s + 5 and all_of_them < limit_s + 5, (others, all_of_them)


def expect_report(run: Broken, ranks: int, waiting: str, rank: int) -> None:
    expect_to_leave_in_time(run.process, ranks, "T", WATCHDOG_S)
    log = run.log()
    assert run.process.returncode == 76, (run.process.returncode, log)
    assert f"of step {STEP + 1}; missing ranks: stopped {rank}" in log, log
    assert re.search(waiting, log), log
    assert re.search(rf"rank {rank} is in \"forward and backward: [a-z ]*of leaf {LEAF} in stage \d\" of step {STEP + 1}, no sign of life", log), log


def rank_that_stops_beside_others_that_sum_with_it_is_named(folder, shards):
    run = Broken(folder, shards, 2, "stop", 0, watchdog_s=WATCHDOG_S)
    expect_report(run, 2, rf'rank 0 has made no progress for \d+ s in "reduce gradients" of step {STEP + 1}', 1)


def rank_that_stops_in_a_pipeline_is_named_and_what_others_need_of_it(folder, shards):
    run = Broken(folder, shards, 4, "stop", -1, PIPELINES, watchdog_s=WATCHDOG_S)
    expect_report(run, 4, r'in "forward and backward: receive the gradient of leaf \d from stage 1 \(rank 3\)" of step', 3)


def rank_that_dies_ends_the_job(folder, shards):
    run = Broken(folder, shards, 4, "kill", -1, PIPELINES, watchdog_s=WATCHDOG_S)
    expect_to_leave_in_time(run.process, 4, "gone", WATCHDOG_S)
    assert run.wait() != 0 and "watchdog" not in run.log(), run.log()
    assert f"step {STEP} applied true" in run.log() and f"step {STEP + 1} applied" not in run.log(), run.log()


def rank_that_stops_on_its_way_out_ends_the_job_with_76(folder, shards):
    log = folder / "ends.log"
    with open(log, "w") as file:
        process = subprocess.Popen(["mpirun", "-n", "3", "--oversubscribe", "--bind-to", "none", str(ENDS), "stop-last"], stdout=file, stderr=file)
    expect_to_leave_in_time(process, 3, "T", 5)  # the limit that the program sets
    assert process.returncode == 76 and "a rank is stopped on its way out" in log.read_text(), (process.returncode, log.read_text())


def library_without_threads_is_refused_with_69_and_a_remedy_and_ends_in_order(folder, shards):
    done = subprocess.run(["mpirun", "-n", "2", "--oversubscribe", str(ENDS), "no-threads"], capture_output=True, text=True, timeout=100)
    assert done.returncode == 69, (done.returncode, done.stderr)
    assert re.search(r"Open MPI.* offers thread level \d, MPI_THREAD_MULTIPLE \(\d\) is needed; load or build", done.stderr), done.stderr
    assert done.stderr.count("MPI is finalised") == 2, done.stderr


def rank_that_throws_ends_the_job_with_its_code_and_says_where(folder, shards):
    for ranks, block, parallel, thrower, stage in ((2, 0, "", 1, 0), (4, 0, PIPELINES, 2, 0), (4, -1, PIPELINES, 3, 1)):
        run = Broken(folder, shards, ranks, "throw", block, parallel)
        code = run.wait()
        assert code == 65, (code, run.log())
        said = f"tributary: rank {thrower}: step {STEP + 1}, leaf {LEAF}, stage {stage}, forward of block '{run.block()}': planted"
        assert said in run.log() and "watchdog" not in run.log(), (said, run.log())


def number_that_is_none_in_one_leaf_is_skipped_by_all_ranks_which_name_rank_and_block(folder, shards):
    for ranks, kind, block, parallel, rank in ((2, "values", 0, "", 1), (4, "values", -1, PIPELINES, 3), (4, "gradient", 0, PIPELINES, 2)):
        run = Broken(folder, shards, ranks, kind, block, parallel)
        assert run.wait() == 0, run.log()
        what = "values" if kind == "values" else r"gradient of \S+"
        found = re.findall(rf"\[(\d)\] step {STEP + 1} applied false, began in leaf {LEAF} \(rank {rank}: {what} (?:of|in) block '([^']+)'\), of 7", run.log())
        assert sorted(int(who) for who, _ in found) == list(range(ranks)), run.log()
        assert {block for _, block in found} == {run.block()}, run.log()
        assert run.log().count("applied true") == 4 * ranks, run.log()


def steps_skipped_in_a_row_end_with_70(folder, shards):
    run = Broken(folder, shards, 2, "values", 0, max_skipped=1)
    assert run.wait() == 70, run.log()
    assert re.search(rf"step {STEP + 1}: the gradient is not finite in block '.*1 step\(s\) in a row; it began in leaf {LEAF} \(rank 1: values of block '{run.block()}'\), of 7", run.log()), run.log()


def record_whose_label_is_no_number_is_skipped_and_told_in_the_log_of_events(folder, shards):
    spoilt = folder / "spoilt"
    shutil.copytree(shards, spoilt)
    with h5py.File(sorted(spoilt.glob("part-*.h5"))[0], "r+") as part:
        rows = [row for row, told in enumerate(part["labels/sepsis/valid"][:]) if told and part["index/split"][row] == 0]
        part["labels/sepsis/values"][rows[0]] = [float("nan")]
    run = Run(folder, "spoilt-run", spoilt)
    settings = ["train.steps=30", "data.verify=never"]
    assert run.train(2, *settings, "train.max_skipped=1") == 70, run.log()
    assert re.search(r"it began in leaf \d \(rank \d: values of block '[^']+'\), of 7", run.log()), run.log()
    bad = run.steps()[-1]
    assert not bad["applied"] and all(step["applied"] for step in run.steps()[:-1]), run.steps()
    assert bad["not_finite_leaves"] == 1 and len(bad["first_not_finite"]) == 1, bad
    first = bad["first_not_finite"][0]
    assert first["rank"] == (0 if first["leaf"] < 3 else 1) and first["in"] == "values" and first["block"] in run.log(), bad


def ranks_that_find_different_data_sets_are_refused_naming_them(folder, shards):
    run = Run(folder, "mixed", pathlib.Path("shards"))
    for name in ("first", "second"):
        (folder / name).mkdir()
        make_shards(folder / name, 100, "--note-words", "20", "--seed", "1" if name == "first" else "2")
    command = ["mpirun", "--oversubscribe", "--bind-to", "none"]
    for number, name in enumerate(("first", "second")):
        command += [":"] if number else []
        command += ["-n", "1", "-wdir", str(folder / name), BINARY, "train", str(run.config)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert done.returncode == 69, (done.returncode, done.stderr)
    assert re.search(r"the catalogue of the data set: \w{12} \(rank 0 on \S+\); \w{12} \(rank 1 on \S+\)", done.stderr), done.stderr


CASES = [rank_that_stops_beside_others_that_sum_with_it_is_named, rank_that_stops_in_a_pipeline_is_named_and_what_others_need_of_it, rank_that_dies_ends_the_job,
         rank_that_stops_on_its_way_out_ends_the_job_with_76,
         library_without_threads_is_refused_with_69_and_a_remedy_and_ends_in_order,
         rank_that_throws_ends_the_job_with_its_code_and_says_where, number_that_is_none_in_one_leaf_is_skipped_by_all_ranks_which_name_rank_and_block,
         steps_skipped_in_a_row_end_with_70, record_whose_label_is_no_number_is_skipped_and_told_in_the_log_of_events,
         ranks_that_find_different_data_sets_are_refused_naming_them]


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        shards = make_shards(folder, 320)
        for case in CASES:
            case(folder, shards)
            print("passed:", case.__name__.replace("_", " "), flush=True)


if __name__ == "__main__":
    sys.exit(main())
