"""An epoch and a step of `tributary train` against the plain PyTorch peer (DDP, gloo, h5py, one loading worker), 2 processes of one thread each, in turn.

    .deps/python-peers/bin/python perf/training/compare.py --shards DIR [--configs fusion fusion_notes] [--pairs 3] [--ranks 2]

Each pair is one run of ours and one of the peer, one after the other; figures are medians over the pairs, ratios the medians of paired ratios. An epoch is
the time from the first step to the last, input included; a step the median over the epoch. Memory is the proportional set size of all processes, sampled.
"""

import argparse
import json
import os
import pathlib
import platform
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
THREADS = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


def descendants(pid):
    found = [pid]
    for task in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
        for child in task.read_text().split():
            found += descendants(int(child))
    return found


def proportional_mib(pids):
    total = 0
    for pid in pids:
        try:
            lines = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
            total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
        except (OSError, ProcessLookupError):
            continue
    return total / 1024


class Memory(threading.Thread):
    """Peak of the processes under `roots` while the block runs."""

    def __init__(self, roots):
        super().__init__(daemon=True)
        self.roots, self.peak, self.done = roots, 0.0, False

    def run(self):
        while not self.done:
            try:
                self.peak = max(self.peak, proportional_mib([p for root in self.roots for p in descendants(root)]))
            except OSError:
                pass
            time.sleep(1)


def watched(processes):
    memory = Memory([p.pid for p in processes])
    memory.start()
    outputs = [p.communicate()[0] for p in processes]
    memory.done = True
    memory.join()
    for process, output in zip(processes, outputs):
        if process.returncode != 0:
            sys.exit(f"{process.args} left with {process.returncode}:\n{output[-2000:]}")
    return outputs, memory.peak


def ours(config, shards, ranks):
    run = tempfile.mkdtemp(prefix="tributary-perf-")
    command = [ROOT / "launch/ranks", str(ranks), ROOT / "build/release/tributary", "train", config, "--set", f"data.shards={shards}", "--set", f"run.dir={run}",
               "--set", "checkpoint.every=1000000000", "--set", "train.evaluate_every=1000000000"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=os.environ | THREADS)
    _, peak = watched([process])
    steps = [e for e in map(json.loads, (pathlib.Path(run) / "events.jsonl").open()) if e["event"] == "step"]
    shutil.rmtree(run)
    seconds = [e["seconds"] for e in steps]
    return {"records_per_s": sum(e["records"] for e in steps) / sum(seconds), "step_s": statistics.median(seconds), "memory_mib": peak,
            "input_wait": sum(e["input_wait_s"] for e in steps) / sum(seconds), "efficiency": statistics.mean(e["efficiency"] for e in steps),
            "last_loss": statistics.mean(e["loss"] for e in steps[-20:])}


def peer(config, shards, ranks):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    processes = []
    for rank in range(ranks):
        environment = os.environ | THREADS | {"RANK": str(rank), "WORLD_SIZE": str(ranks), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
        command = [sys.executable, ROOT / "perf/peers/train_ddp.py", config, "--shards", shards]
        processes.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment))
    outputs, peak = watched(processes)
    lines = [json.loads(o.strip().splitlines()[-1]) for o in outputs]
    return {"records_per_s": lines[0]["records_per_s"], "step_s": lines[0]["median_step_s"], "memory_mib": peak, "last_loss": lines[0]["last_loss"]}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--shards", required=True)
    parser.add_argument("--configs", nargs="+", default=["fusion", "fusion_notes"])
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--ranks", type=int, default=2)
    arguments = parser.parse_args()
    model = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), platform.processor())
    print(f"{model}, {len(os.sched_getaffinity(0))} cores, {arguments.ranks} processes of one thread")
    for name in arguments.configs:
        config = ROOT / "perf/training" / f"{name}.toml"
        pairs = [(ours(config, arguments.shards, arguments.ranks), peer(config, arguments.shards, arguments.ranks)) for _ in range(arguments.pairs)]
        middle = lambda values: statistics.median(values)
        for label, k in (("tributary", 0), ("peer", 1)):
            keys = pairs[0][k].keys()
            print(f"{name} {label}: " + ", ".join(f"{key} {middle([p[k][key] for p in pairs]):.4g}" for key in keys))
        epoch = [a["records_per_s"] / b["records_per_s"] for a, b in pairs]
        step = [b["step_s"] / a["step_s"] for a, b in pairs]
        print(f"{name}: epoch ratio {middle(epoch):.2f} ({min(epoch):.2f}-{max(epoch):.2f}), step ratio {middle(step):.2f} over {len(pairs)} pairs", flush=True)


if __name__ == "__main__":
    main()
