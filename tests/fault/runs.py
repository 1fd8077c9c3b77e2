"""Starts, watches and breaks training runs: what the fault tests share."""

import json
import os
import pathlib
import subprocess
import time

BINARY = os.environ["TRIBUTARY_BINARY"]

CONFIG = """
[data]
shards = "{shards}"
window_tokens = 64
window_stride = 48
[run]
dir = "{run}"
watchdog_s = 120
[train]
seed = 3
global_batch = 56
micro_batch = 8
evaluate_every = 10
[optim]
learning_rate = 2e-3
warmup_steps = 5
[text]
layers = 1
width = 16
heads = 2
intermediate = 32
positions = 64
[lstm]
layers = 1
width = 24
[cnn]
filters = 4
[attention]
heads = 2
head_width = 8
[checkpoint]
every = 4
"""


def make_shards(folder: pathlib.Path, records: int, *options: str) -> pathlib.Path:
    shards = folder / "shards"
    done = subprocess.run([BINARY, "shards", "synth", "--out", str(shards), "--records", str(records), "--parts", "3", *(options or ("--note-words", "20"))], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return shards


class Run:
    """One run directory with its configuration; start() gives the mpirun process."""

    def __init__(self, folder: pathlib.Path, name: str, shards: pathlib.Path):
        self.folder = folder / name
        self.config = folder / f"{name}.toml"
        self.config.write_text(CONFIG.format(shards=shards, run=self.folder))

    def start(self, ranks: int, *settings: str, resume: str = "auto") -> subprocess.Popen:
        command = ["mpirun", "-n", str(ranks), "--oversubscribe", "--bind-to", "none", BINARY, "train", str(self.config), "--resume", resume]
        for setting in settings:
            command += ["--set", setting]
        self.errors = open(self.folder.parent / f"{self.folder.name}.log", "a")
        return subprocess.Popen(command, stdout=self.errors, stderr=self.errors)

    def train(self, ranks: int, *settings: str, resume: str = "auto") -> int:
        return self.start(ranks, *settings, resume=resume).wait(timeout=240)

    def log(self) -> str:
        return (self.folder.parent / f"{self.folder.name}.log").read_text()

    def steps(self) -> list[dict]:
        """The events of steps, whole lines only."""
        path = self.folder / "events.jsonl"
        if not path.exists():
            return []
        lines = path.read_text().split("\n")[:-1]
        return [event for event in map(json.loads, lines) if event["event"] == "step"]

    def wait_for_step(self, step: int, process: subprocess.Popen) -> None:
        deadline = time.monotonic() + 200
        while len(self.steps()) < step:
            assert process.poll() is None, f"the run ended with {process.returncode} before step {step}:\n{self.log()}"
            assert time.monotonic() < deadline, f"step {step} did not come:\n{self.log()}"
            time.sleep(0.005)

    def tensors(self, step: int) -> dict[str, str]:
        manifest = json.loads((self.folder / f"step-{step:08d}" / "manifest.json").read_text())
        return {name: entry["sha256"] for name, entry in manifest["tensors"].items()}


def ranks_of(mpirun: subprocess.Popen) -> list[int]:
    """Process ids of the ranks that this mpirun started, which it starts itself on one machine."""
    children = pathlib.Path(f"/proc/{mpirun.pid}/task/{mpirun.pid}/children").read_text().split()
    return sorted(int(pid) for pid in children if BINARY.encode() in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes())


def numbers(steps: list[dict]) -> list[tuple]:
    """What must be equal bit for bit; the text of a number in events.jsonl is the shortest that reads back to the same bits."""
    return [(s["step"], s["loss"], tuple(s["task_losses"].items()), s["gradient_norm"], s["learning_rate"], s["applied"]) for s in steps]


def expect_equal(a: Run, b: Run, step: int) -> None:
    ours, theirs = a.tensors(step), b.tensors(step)
    assert len(ours) > 20, f"only {len(ours)} tensors"
    differing = [name for name in ours if theirs.get(name) != ours[name]]
    assert ours.keys() == theirs.keys() and not differing, f"{len(differing)} of {len(ours)} tensors differ after step {step}: {differing[:5]}"
    assert len(a.steps()) == step and numbers(a.steps()) == numbers(b.steps()), "logged losses differ"
    print(f"{a.folder.name} = {b.folder.name}: {len(ours)} tensors and {step} steps of losses, bit for bit")


# Ranks and [parallel] of grids whose bits must be those of one rank: every schedule, recomputing, several stages a rank.
PIPELINES = [
    (2, "parallel.pipeline=2", "parallel.schedule=gpipe"),
    (2, "parallel.pipeline=2", "parallel.schedule=zb_v", "parallel.virtual_stages=2", 'parallel.recompute=["all"]'),
    (3, "parallel.pipeline=3", "parallel.schedule=1f1b"),
    (4, "parallel.pipeline=2", "parallel.schedule=interleaved", "parallel.virtual_stages=2"),
    (4, "parallel.pipeline=4", "parallel.schedule=zb_h1", 'parallel.recompute=["all"]'),
]


def expect_equal_pipelines(folder: pathlib.Path, shards: pathlib.Path, wanted: Run, step: int, *settings: str) -> None:
    for number, (ranks, *parallel) in enumerate(PIPELINES):
        run = Run(folder, f"{wanted.folder.name}-pipeline{number}", shards)
        assert run.train(ranks, *settings, *parallel) == 0, run.log()
        expect_equal(run, wanted, step)
        grid = json.loads((run.folder / "run.json").read_text())["starts"][0]["grid"]
        assert grid["pipeline"] > 1 and grid["data"] * grid["pipeline"] == ranks, grid
