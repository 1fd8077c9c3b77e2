"""Runs the program as people do: help, usage errors, configuration errors, exit codes, alone and under mpirun."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile

BINARY = os.environ["TRIBUTARY_BINARY"]
SOURCE = pathlib.Path(os.environ["TRIBUTARY_SOURCE"])
QUICKSTART = str(SOURCE / "launch/configs/quickstart.toml")
checked = 0


def run(*arguments, ranks=0):
    prefix = ["mpirun", "-n", str(ranks), "--oversubscribe", "--bind-to", "none"] if ranks else []
    return subprocess.run(prefix + [BINARY, *arguments], capture_output=True, text=True, timeout=120)


def expect(result, code, *, out="", err="", once=""):
    global checked
    checked += 1
    told = f"{result.args}\nexit {result.returncode}\n{result.stdout}\n{result.stderr}"
    assert result.returncode == code, f"expected exit {code}: {told}"
    assert out in result.stdout, f"expected {out!r} on stdout: {told}"
    assert err in result.stderr, f"expected {err!r} on stderr: {told}"
    assert not once or result.stderr.count(once) == 1, f"expected {once!r} once on stderr: {told}"
    return result


def all_commands(path=()):
    """Every command below `path`, found through the help alone."""
    text = expect(run(*path, "--help"), 0, out="Usage:").stdout
    assert "Example" in text, f"no example in the help of {path}"
    found, listing = [path], False
    for line in text.splitlines():
        if line.startswith("Subcommands:"):
            listing = True
        elif listing and line.startswith("  ") and line[2] != " ":
            found += all_commands((*path, line.split()[0]))
        elif listing and not line.startswith(" "):
            listing = False
    return found


def check_help_and_usage():
    commands = all_commands()
    assert {("config", "check"), ("config", "show"), ("config", "schema"), ("version",)} <= set(commands), commands
    expect(run(), 64, err="A subcommand is required")
    expect(run("confg", "check"), 64, err='unknown command "confg"; did you mean "tributary config"?')
    expect(run("config", "chekc"), 64, err='did you mean "tributary config check"?')
    expect(run("config", "check"), 64, err="CONFIG is required")
    expect(run("version", "--jsn"), 64, err="--jsn")
    expect(run("trian", ranks=2), 64, once='unknown command "trian"')


def check_version():
    expect(run("version"), 0, out="tributary ")
    versions = json.loads(expect(run("version", "--json"), 0).stdout)
    assert {"program", "libtorch", "hdf5", "mpi", "compiler", "processor", "cuda", "nccl"} == set(versions), versions
    assert json.loads(run("version", "--json", ranks=2).stdout) == versions, "two ranks must print once"


def check_configurations(folder):
    for path in sorted((SOURCE / "launch/configs").glob("*.toml")):
        expect(run("config", "check", str(path)), 0, out="good; digest ")
    shown = expect(run("config", "show", QUICKSTART, "--set", "train.steps=20", "--set", "run.dir=elsewhere", "--origin"), 0)
    assert "steps = 20  # --set\n" in shown.stdout and f"layers = 1  # {QUICKSTART}:" in shown.stdout and "seed = 1  # default\n" in shown.stdout
    copy = folder / "copy.toml"
    copy.write_text(shown.stdout)
    digest = [expect(run("config", "check", *a), 0).stdout.split("digest ")[1] for a in ([str(copy)], [QUICKSTART, "--set", "train.steps=20"])]
    assert digest[0] == digest[1], "the printout must read back to the same settings, wherever the run directory is"
    schema = json.loads(expect(run("config", "schema"), 0).stdout)
    assert schema["properties"]["train"]["properties"]["micro_batch"]["minimum"] == 1
    alone, together = run("config", "show", QUICKSTART), run("config", "show", QUICKSTART, ranks=2)
    assert alone.stdout == together.stdout != "", "two ranks must print once"


def check_refusals(folder):
    wrong = folder / "wrong.toml"
    wrong.write_text("[train]\nsteps = 3\nglobal_bach = 32\nmicro_batch = 0\n")
    expect(run("config", "check", str(wrong)), 64, err=f"{wrong}:3: unknown key train.global_bach; the nearest known key is train.global_batch")
    expect(run("config", "check", str(wrong), ranks=3), 64, once=f"{wrong}:4: train.micro_batch: expected a whole number from 1")
    expect(run("config", "check", str(folder / "absent.toml"), ranks=2), 66, once="absent.toml: no such file")
    expect(run("config", "check", QUICKSTART, "--set", "run.ranks=3", ranks=2), 69, once="asks for 3 ranks (run.ranks), 2 were started")
    expect(run("config", "check", QUICKSTART, "--set", "train.global_batch=65"), 64, err="train.global_batch = 65 must be a multiple")


def main():
    with tempfile.TemporaryDirectory() as folder:
        check_help_and_usage()
        check_version()
        check_configurations(pathlib.Path(folder))
        check_refusals(pathlib.Path(folder))
    assert checked >= 20, checked
    print(f"{checked} calls behaved")
    return 0


if __name__ == "__main__":
    sys.exit(main())
