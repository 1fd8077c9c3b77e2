"""Sums of float buffers over ranks: ours (shared window, our MPI path) beside MPI_Allreduce of Open MPI and gloo, in turn.

    .deps/python-peers/bin/python perf/reduce/all_reduce.py [--ranks 2] [--pairs 5]

A figure is the median over all rounds of the slowest rank's time; a ratio the median over the pairs of (peer's median / ours). The buffers lie where each
program keeps its gradients: ours in the window, so that nothing is copied in or out.
"""

import argparse
import json
import os
import pathlib
import socket
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
SIZES = {256: 300, 262_144: 200, 5_242_880: 40, 115_343_360: 5}  # elements (1 KB, 1 MB, 20 MB, 440 MB) and rounds
THREADS = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


def program(backend, ranks, elements):
    command = [ROOT / "launch/ranks", str(ranks), ROOT / "build/release/perf/perf_all_reduce", backend, str(SIZES[elements]), str(elements)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=os.environ | THREADS)
    return statistics.median(json.loads(done.stdout.strip().splitlines()[-1])[str(elements)])


def gloo(ranks, elements):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    processes = []
    for rank in range(ranks):
        environment = os.environ | THREADS | {"RANK": str(rank), "WORLD_SIZE": str(ranks), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
        command = [sys.executable, ROOT / "perf/peers/all_reduce_gloo.py", str(SIZES[elements]), str(elements)]
        processes.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment))
    outputs = [p.communicate()[0] for p in processes]
    return statistics.median(json.loads(outputs[0].strip().splitlines()[-1])[str(elements)])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--pairs", type=int, default=5)
    arguments = parser.parse_args()
    for elements in SIZES:
        runs = []
        for _ in range(arguments.pairs):
            runs.append({"window": program("window", arguments.ranks, elements), "mpi": program("mpi", arguments.ranks, elements),
                         "open_mpi": program("open_mpi", arguments.ranks, elements), "gloo": gloo(arguments.ranks, elements)})
        line = ", ".join(f"{name} {1e3 * statistics.median(r[name] for r in runs):.4g} ms" for name in runs[0])
        for peer in ("open_mpi", "gloo"):
            ratios = [r[peer] / r["window"] for r in runs]
            line += f"; {peer} / window {statistics.median(ratios):.1f} ({min(ratios):.1f}-{max(ratios):.1f})"
        print(f"{4 * elements / 2**20:.4g} MiB on {arguments.ranks} ranks: {line}", flush=True)


if __name__ == "__main__":
    main()
