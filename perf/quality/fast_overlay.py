"""How far fast reduction drifts from exact: the losses of the same steps in both modes, laid over each other.

    .deps/python-tests/bin/python perf/quality/fast_overlay.py --shards DIR --out FILE.svg [--ranks 2] [--steps 200] [--config perf/training/fusion.toml]
        [--set KEY=VALUE ...]

Prints the largest difference, of the loss's value, up to a few steps; draws both curves and, below, the difference. FILE.csv beside it holds the numbers.
"""

import argparse
import json
import math
import os
import pathlib
import shutil
import subprocess
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
WIDTH, HEIGHT, LEFT, TOP = 900, 260, 70, 30


def losses(mode, arguments):
    folder = tempfile.mkdtemp(prefix="tributary-perf-")
    command = [ROOT / "launch/ranks", str(arguments.ranks), ROOT / "build/release/tributary", "train", arguments.config]
    for setting in (f"data.shards={arguments.shards}", f"run.dir={folder}", f"train.steps={arguments.steps}", f"numerics.reduction={mode}",
                    "checkpoint.every=1000000000", "train.evaluate_every=1000000000", *arguments.set):
        command += ["--set", setting]
    subprocess.run(command, check=True, capture_output=True, env=os.environ | {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"})
    found = [e["loss"] for e in map(json.loads, (pathlib.Path(folder) / "events.jsonl").open()) if e["event"] == "step"]
    shutil.rmtree(folder)
    return found


def curve(values, low, high, top):
    scale = HEIGHT / (high - low or 1)
    points = (f"{LEFT + i * WIDTH / max(1, len(values) - 1):.1f},{top + HEIGHT - (v - low) * scale:.1f}" for i, v in enumerate(values))
    return " ".join(points)


def drawing(exact, fast, differences):
    low, high = min(exact + fast), max(exact + fast)
    powers = [math.log10(max(d, 1e-9)) for d in differences]
    floor, roof = math.floor(min(powers)), math.ceil(max(powers))
    second = TOP + HEIGHT + 60
    text = '<text x="{}" y="{}" font-size="13" font-family="sans-serif">{}</text>'
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{LEFT + WIDTH + 20}" height="{second + HEIGHT + 40}">', '<rect width="100%" height="100%" fill="white"/>',
        text.format(LEFT, TOP - 10, f"loss of {len(exact)} steps: exact (blue), fast (orange, dashed)"), text.format(5, TOP + 10, f"{high:.3f}"),
        text.format(5, TOP + HEIGHT, f"{low:.3f}"), f'<polyline fill="none" stroke="#3465a4" stroke-width="3" points="{curve(exact, low, high, TOP)}"/>',
        f'<polyline fill="none" stroke="#f57900" stroke-width="1.5" stroke-dasharray="5 4" points="{curve(fast, low, high, TOP)}"/>',
        text.format(LEFT, second - 10, "difference, of the loss's value (logarithmic)"), text.format(5, second + 10, f"1e{roof}"),
        text.format(5, second + HEIGHT, f"1e{floor}"), f'<polyline fill="none" stroke="#555753" points="{curve(powers, floor, roof, second)}"/>', "</svg>"])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--shards", required=True)
    parser.add_argument("--out", required=True, type=pathlib.Path)
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--config", default=str(ROOT / "perf/training/fusion.toml"))
    parser.add_argument("--set", action="append", default=[], help="setting of both modes; modes differ where a step has more than two leaves")
    arguments = parser.parse_args()
    exact, fast = losses("exact", arguments), losses("fast", arguments)
    assert len(exact) == len(fast) == arguments.steps, (len(exact), len(fast))
    differences = [abs(b / a - 1) for a, b in zip(exact, fast)]
    for upto in sorted({10, 50, 100, arguments.steps}):
        if upto <= arguments.steps:
            print(f"up to step {upto}: losses differ by at most {max(differences[:upto]):.1e} of their value")
    print(f"step {arguments.steps}: exact {exact[-1]:.6f}, fast {fast[-1]:.6f}; mean of the last 20 steps {sum(exact[-20:]) / 20:.6f} and {sum(fast[-20:]) / 20:.6f}")
    arguments.out.write_text(drawing(exact, fast, differences) + "\n")
    lines = ["step,exact,fast,difference"] + [f"{i + 1},{a!r},{b!r},{d:.3e}" for i, (a, b, d) in enumerate(zip(exact, fast, differences))]
    arguments.out.with_suffix(".csv").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
