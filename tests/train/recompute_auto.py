"""parallel.recompute = "auto": `plan` says what is recomputed under a limit, all ranks of a run decide alike and keep their bits, a limit that nothing keeps is
refused; without a limit nothing is recomputed, and that is told."""

import pathlib
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "fault"))
from runs import BINARY, Run, expect_equal, make_shards  # noqa: E402

AUTO = 'parallel.recompute="auto"'
STEPS = "train.steps=4"
GIB_OF_MIB = 1 / 1024


def plan(run: Run, *settings: str) -> subprocess.CompletedProcess:
    command = [BINARY, "plan", str(run.config)]
    for setting in settings:
        command += ["--set", setting]
    return subprocess.run(command, capture_output=True, text=True)


def memory(report: str) -> list[list[float]]:
    """Of each rank in MiB: weights, their rounded copy, gradients, partial sums, received ones, optimizer, activations."""
    table = report.split("rank MiB")[1].split("\n\n")[0].splitlines()[1:]
    rows = [line.split() for line in table if re.match(r"\d+ ", line)]
    assert rows, report
    return [[float(value) for value in row[1:8]] for row in rows]


def check_plan(run: Run, *parallel: str) -> str:
    """A limit between what everything kept and everything recomputed need, as a setting."""
    kept, all_again = plan(run, *parallel), plan(run, *parallel, 'parallel.recompute=["all"]')
    assert kept.returncode == 0 and all_again.returncode == 0, kept.stderr + all_again.stderr
    most, least = (max(sum(rank) for rank in memory(done.stdout)) for done in (kept, all_again))
    assert least < most - 0.2, (least, most)
    limit = f"parallel.memory_limit={(least + most) / 2 * GIB_OF_MIB}"
    some = plan(run, *parallel, AUTO, limit)
    assert some.returncode == 0, some.stderr
    told = re.search(r'recompute = "auto": (\d+) of (\d+) blocks are recomputed to keep parallel.memory_limit = [\d.e-]+ GiB: (.*)', some.stdout)
    assert told, some.stdout
    marked = [line.split()[0] for line in some.stdout.splitlines() if line.endswith("recomputed")]
    assert 0 < int(told[1]) < int(told[2]) and told[3].split(", ") == marked and len(marked) == int(told[1]), some.stdout
    assert max(sum(rank) for rank in memory(some.stdout)) <= (least + most) / 2 + 0.3, some.stdout
    refused = plan(run, *parallel, AUTO, f"parallel.memory_limit={least / 4 * GIB_OF_MIB}")
    assert refused.returncode == 69 and "parallel.memory_limit" in refused.stderr and "bytes" in refused.stderr, (refused.returncode, refused.stderr)
    return limit


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        shards = make_shards(folder, 400)
        one, limited, free = (Run(folder, each, shards) for each in ("one", "limited", "free"))
        check_plan(one)
        limit = check_plan(one, "parallel.pipeline=2")
        mixed = plan(one, 'parallel.recompute=["auto", "all"]')
        assert mixed.returncode == 64 and "stands alone" in mixed.stderr, mixed.stderr
        assert one.train(1, STEPS, AUTO) == 0, one.log()
        assert "no block is recomputed, for parallel.memory_limit sets no limit" in one.log(), one.log()
        assert limited.train(2, STEPS, AUTO, limit, "parallel.pipeline=2") == 0, limited.log()
        told = re.search(r"(\d+) of \d+ blocks are recomputed", limited.log())
        assert told and int(told[1]) > 0, limited.log()
        expect_equal(limited, one, 4)
        assert free.train(2, STEPS, 'parallel.recompute=["all"]', "optim.sharded=false") == 0, free.log()
        expect_equal(free, one, 4)


if __name__ == "__main__":
    sys.exit(main())
