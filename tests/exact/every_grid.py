"""The whole table of "same bits on any grid": every family on every grid with every schedule, optimizer sharded or not, recomputing or not, with 7 leaves a step
and with 1, gradients summed in shared memory or by MPI, straight and from the middle of a run on another grid. Prints it in Markdown.

    every_grid.py PROGRAM, where PROGRAM is mpi_grid_table
"""

import collections
import json
import pathlib
import subprocess
import sys
import tempfile

RANKS = (1, 2, 3, 4)
SCHEDULES = ("-", "gpipe", "1f1b", "interleaved", "zb_h1", "zb_v")


def rows(cases: list[dict]) -> list[str]:
    counts = collections.defaultdict(lambda: [0, 0])  # equal, all
    for case in cases:
        count = counts[case["family"], case["grid"], case["schedule"]]
        count[0] += case["equal"]
        count[1] += 1
    families = sorted({case["family"] for case in cases})
    grids = sorted({case["grid"] for case in cases}, key=lambda grid: (grid.split("x")[1], grid))
    lines = ["| grid | schedule | " + " | ".join(families) + " |", "|---|---|" + "---|" * len(families)]
    for grid in grids:
        for schedule in SCHEDULES:
            cells = [counts.get((family, grid, schedule)) for family in families]
            if any(cells):
                lines.append(f"| {grid} | {schedule} | " + " | ".join(f"{c[0]} of {c[1]}" if c else "" for c in cells) + " |")
    return lines


def main() -> int:
    program, cases, failed = sys.argv[1], [], []
    with tempfile.TemporaryDirectory() as name:
        for ranks in RANKS:
            results = pathlib.Path(name) / f"{ranks}.jsonl"
            done = subprocess.run(["mpirun", "-n", str(ranks), "--oversubscribe", "--bind-to", "none", program, "--exhaustive", str(results)])
            if done.returncode != 0:
                failed.append(ranks)
            if results.exists():
                cases += map(json.loads, results.read_text().splitlines())
    print("\n".join(rows(cases)))
    equal = sum(case["equal"] for case in cases)
    print(f"\n{equal} of {len(cases)} runs equal the run on one rank, {sum(case['resumed'] for case in cases)} of them from the middle of a run on another grid")
    if failed:
        print(f"the jobs on {failed} ranks failed")
    return 1 if failed or equal < len(cases) or len(cases) < 600 else 0


if __name__ == "__main__":
    sys.exit(main())
