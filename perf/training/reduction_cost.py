"""What exact reduction costs: a training step with numerics.reduction = exact beside one with fast, in turn.

    .deps/python-tests/bin/python perf/training/reduction_cost.py --shards DIR [--pairs 5] [--ranks 2] [--steps 100] [--config perf/training/fusion.toml] [--set KEY=VALUE ...]

Prints the median step of both, the median of the paired ratios exact / fast, and the largest difference of the losses of the two modes.
"""

import argparse
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
WARM_UP = 10  # steps left out


def run(mode, arguments):
    folder = tempfile.mkdtemp(prefix="tributary-perf-")
    command = [ROOT / "launch/ranks", str(arguments.ranks), ROOT / "build/release/tributary", "train", arguments.config]
    for setting in (f"data.shards={arguments.shards}", f"run.dir={folder}", f"train.steps={arguments.steps}", f"numerics.reduction={mode}",
                    "checkpoint.every=1000000000", "train.evaluate_every=1000000000", *arguments.set):
        command += ["--set", setting]
    subprocess.run(command, check=True, capture_output=True, env=os.environ | {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"})
    steps = [e for e in map(json.loads, (pathlib.Path(folder) / "events.jsonl").open()) if e["event"] == "step"]
    shutil.rmtree(folder)
    return [e["seconds"] for e in steps[WARM_UP:]], [e["loss"] for e in steps]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--shards", required=True)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--config", default=str(ROOT / "perf/training/fusion.toml"))
    parser.add_argument("--set", action="append", default=[], help="setting of both modes; the number of leaves is train.global_batch / train.micro_batch")
    arguments = parser.parse_args()
    exact, fast, ratios, difference = [], [], [], 0.0
    for pair in range(arguments.pairs):
        order = ("exact", "fast") if pair % 2 == 0 else ("fast", "exact")
        results = {mode: run(mode, arguments) for mode in order}
        medians = {mode: statistics.median(results[mode][0]) for mode in order}
        exact.append(medians["exact"])
        fast.append(medians["fast"])
        ratios.append(medians["exact"] / medians["fast"])
        difference = max([difference] + [abs(a - b) / abs(b) for a, b in zip(results["exact"][1], results["fast"][1])])
    print(f"{arguments.ranks} ranks, step: exact {1e3 * statistics.median(exact):.1f} ms, fast {1e3 * statistics.median(fast):.1f} ms, paired ratio "
          f"{statistics.median(ratios):.4f} ({min(ratios):.4f}-{max(ratios):.4f}) over {len(ratios)} pairs; losses differ by at most {difference:.1e} of their value")


if __name__ == "__main__":
    main()
