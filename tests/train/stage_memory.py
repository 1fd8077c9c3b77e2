"""A rank of a pipeline has the weights of its own stages in memory and never those of the whole model, in training and in evaluation. Measured on a frozen
encoder, of which there are no gradients and no moments, so that its weights are most of what a rank needs."""

import json
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "fault"))
from runs import BINARY, CONFIG, make_shards  # noqa: E402

LAYERS = 8
WIDTHS = {"small": 16, "large": 640}
# Half of the encoder's layers on each rank; the other blocks are small.
FIRST = 1 + LAYERS // 2
MEASURE = """
import resource, subprocess, sys
code = subprocess.call(sys.argv[1:])
print("peak", resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(code)
"""


def peak_mib(command: list) -> float:
    """The largest resident set of any process that the command started."""
    done = subprocess.run([sys.executable, "-c", MEASURE, *map(str, command)], capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stdout + done.stderr
    return int(done.stdout.split("peak ")[1].split()[0]) / 1024


def config_of(folder: pathlib.Path, shards: pathlib.Path, name: str, width: int) -> pathlib.Path:
    text = CONFIG.format(shards=shards, run=folder / name)
    sizes = "layers = 1\nwidth = 16\nheads = 2\nintermediate = 32\n"
    assert sizes in text
    text = text.replace(sizes, f'layers = {LAYERS}\nwidth = {width}\nheads = 2\nintermediate = {4 * width}\nfreeze = "all"\n')
    config = folder / f"{name}.toml"
    config.write_text(text.replace("[train]\n", "[train]\nsteps = 1\n").replace("global_batch = 56", "global_batch = 8"))
    return config


def blocks_of(config: pathlib.Path) -> int:
    done = subprocess.run([BINARY, "plan", str(config), "--set", "parallel.pipeline=2"], capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    return sum(json.loads(done.stdout.split("parallel.partition = ")[1].splitlines()[0].split("  (")[0]))


def encoder_mib(width: int) -> float:
    return LAYERS * 12 * width * width * 4 / 2**20


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        shards = make_shards(folder, 60)
        peaks = {}
        for size, width in WIDTHS.items():
            config = config_of(folder, shards, size, width)
            if size == "small":
                blocks = blocks_of(config)
            two = ["mpirun", "-n", 2, "--oversubscribe", "--bind-to", "none", BINARY]
            cut = ["--set", "parallel.pipeline=2", "--set", f"parallel.partition=[{FIRST}, {blocks - FIRST}]"]
            peaks["train", size] = peak_mib([*two, "train", config, *cut])
            evaluate = ["evaluate", "--checkpoint", folder / size / "best", "--shards", shards, "--out", folder / "out", "--pipeline", 2]
            peaks["evaluate", size] = peak_mib([*two, *evaluate])
        whole = encoder_mib(WIDTHS["large"]) - encoder_mib(WIDTHS["small"])
        for what in ("train", "evaluate"):
            more = peaks[what, "large"] - peaks[what, "small"]
            print(f"{what}: a rank of two needs {more:.0f} MiB more for an encoder that is {whole:.0f} MiB larger", flush=True)
            assert more > 0.4 * whole, "the encoder is not in memory: nothing was measured"
            assert more < 0.92 * whole, peaks


if __name__ == "__main__":
    sys.exit(main())
