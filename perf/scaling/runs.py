"""What the drivers of this folder share: the models, one run of ours or of a peer on several ranks of one thread each, ratios of neighbouring steps."""

import argparse
import json
import os
import pathlib
import socket
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
THREADS = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
MINILM = {"layers": 6, "width": 384, "heads": 12, "intermediate": 1536, "positions": 512, "vocabulary": 30522}
BERT_BASE = {"layers": 12, "width": 768, "heads": 12, "intermediate": 3072, "positions": 512, "vocabulary": 30522}
TINY = {"layers": 4, "width": 64, "heads": 2, "intermediate": 256, "positions": 512, "vocabulary": 2000}  # for --quick


def arguments(text, **defaults):
    """defaults: options with a number each; --quick is there always."""
    parser = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a tiny model and one pair: whether all of it runs, no figure")
    for name, value in defaults.items():
        parser.add_argument(f"--{name}", type=int, default=value)
    given = parser.parse_args()
    if given.quick:
        given.pairs, given.rounds, given.windows, given.rows, given.tokens = 1, 2, 16, 2, 16
    return given


def last_line(process, output, errors):
    if process.returncode != 0:
        sys.exit(f"{process.args} left with {process.returncode}:\n{errors[-3000:]}")
    return json.loads(output.strip().splitlines()[-1])


def ours(program, settings, ranks=2):
    command = [ROOT / "launch/ranks", str(ranks), ROOT / "build/release/perf" / program, json.dumps(settings)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | THREADS)
    return last_line(process, *process.communicate())


def peer(script, settings, ranks=2):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    processes = []
    for rank in range(ranks):
        environment = os.environ | THREADS | {"RANK": str(rank), "WORLD_SIZE": str(ranks), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
        command = [sys.executable, ROOT / "perf/peers" / script, json.dumps(settings)]
        processes.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment))
    results = [(p, *p.communicate()) for p in processes]
    for process, _, errors in results:
        if process.returncode != 0:
            sys.exit(f"{process.args} left with {process.returncode}:\n{errors[-3000:]}")
    return last_line(*results[0])


def check_equal(own, other):
    """Both sides train the same model on the same leaves: as many parameters, and with random weights nearly the same loss."""
    assert own["parameters"] == other["parameters"], (own["parameters"], other["parameters"])
    first = [[sum(rank["loss"][0] for rank in way) for way in result["ways"].values()] for result in (own, other)]
    assert all(abs(a - b) < 0.3 for a in first[0] for b in first[1]), first


def slowest(way):
    """[rounds] the time of the slowest rank, s."""
    return [max(values) for values in zip(*(rank["total"] for rank in way))]


def ratios(above, below):
    return [a / b for a, b in zip(above, below)]


def told(values, digits=3):
    """Median, quartiles and number."""
    low, high = (values[0], values[0]) if len(values) == 1 else (statistics.quantiles(values, n=4)[0], statistics.quantiles(values, n=4)[2])
    return f"{statistics.median(values):.{digits}f} (quartiles {low:.{digits}f}-{high:.{digits}f}, n = {len(values)})"


def machine():
    model = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "unknown processor")
    flags = next((line for line in open("/proc/cpuinfo") if line.startswith("flags")), "")
    widest = "AVX-512" if "avx512f" in flags else "AVX2" if "avx2" in flags else "no AVX2"
    return f"{model}, {widest}, {len(os.sched_getaffinity(0))} cores, load {os.getloadavg()[0]:.1f} at the start"
