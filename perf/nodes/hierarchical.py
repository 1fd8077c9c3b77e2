"""Sums over the ranks of virtual nodes (network namespaces joined by shaped links): first inside the nodes, then between them, beside flat sums. Needs root.

    python3 perf/nodes/hierarchical.py [--nodes 2] [--ranks 2] [--rate 1gbit] [--pairs 5]

window: ours, hierarchical; mpi: ours, every rank with every other; open_mpi: MPI_Allreduce. A ratio is the median over the pairs of (flat / hierarchical).
"""

import argparse
import json
import pathlib
import statistics
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
SIZES = {262_144: 20, 5_242_880: 5}  # elements (1 MB, 20 MB) and rounds


def seconds(arguments, backend, elements):
    command = [ROOT / "perf/nodes/virtual_nodes", str(arguments.nodes), str(arguments.ranks), arguments.rate, ROOT / "build/release/perf/perf_all_reduce", backend,
               str(SIZES[elements]), str(elements)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    line = next(line for line in done.stdout.splitlines() if line.startswith("{"))
    return statistics.median(json.loads(line)[str(elements)])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--nodes", type=int, default=2)
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--rate", default="1gbit")
    parser.add_argument("--pairs", type=int, default=5)
    arguments = parser.parse_args()
    for elements in SIZES:
        runs = [{backend: seconds(arguments, backend, elements) for backend in ("window", "mpi", "open_mpi")} for _ in range(arguments.pairs)]
        text = ", ".join(f"{backend} {1e3 * statistics.median(r[backend] for r in runs):.4g} ms" for backend in runs[0])
        for flat in ("mpi", "open_mpi"):
            ratios = [r[flat] / r["window"] for r in runs]
            text += f"; {flat} / window {statistics.median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})"
        print(f"{arguments.nodes} nodes x {arguments.ranks} ranks, {arguments.rate}, {4 * elements / 2**20:.4g} MiB: {text}", flush=True)


if __name__ == "__main__":
    main()
