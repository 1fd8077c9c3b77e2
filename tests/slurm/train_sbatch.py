"""slurm/train.sbatch run with stand-ins for srun and scontrol: what each exit code of the ranks does to the job, and where a signal goes."""

import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

SCRIPT = pathlib.Path(os.environ["TRIBUTARY_SOURCE"]) / "slurm" / "train.sbatch"

SRUN = """#!/usr/bin/env bash
trap 'echo USR1 > "$CALLS/signal"; exit 75' USR1
printf '%s\\n' "$@" > "$CALLS/srun"
[ -z "${WAIT:-}" ] || for _ in {1..300}; do sleep 0.1; done
exit "$LEAVES_WITH"
"""
SCONTROL = """#!/usr/bin/env bash
echo "$@" > "$CALLS/scontrol"
exit "${SCONTROL_LEAVES_WITH:-0}"
"""


class Job:
    def __init__(self, folder: pathlib.Path, name: str, leaves_with: int, **environment: str):
        self.calls = folder / name
        self.calls.mkdir()
        for program, text in (("srun", SRUN), ("scontrol", SCONTROL)):
            (self.calls / program).with_suffix(".d").mkdir()
            path = self.calls / (program + ".d") / program
            path.write_text(text)
            path.chmod(0o755)
        self.environment = os.environ | {
            "PATH": f"{self.calls / 'srun.d'}:{self.calls / 'scontrol.d'}:{os.environ['PATH']}", "CALLS": str(self.calls), "LEAVES_WITH": str(leaves_with),
            "SLURM_JOB_ID": "4711", "SLURM_NTASKS": "16", "SLURM_JOB_NUM_NODES": "2"} | environment

    def start(self) -> subprocess.Popen:
        return subprocess.Popen(["bash", SCRIPT, "some.toml", "--set", "train.steps=7"], env=self.environment, stdout=subprocess.PIPE, text=True)

    def run(self) -> tuple[int, str]:
        process = self.start()
        output, _ = process.communicate(timeout=60)
        return process.returncode, output

    def told(self, name: str) -> str | None:
        path = self.calls / name
        return path.read_text() if path.exists() else None


def main() -> None:
    directives = [line.split(maxsplit=1)[1] for line in SCRIPT.read_text().splitlines() if line.startswith("#SBATCH ")]
    for wanted in ("--signal=USR1@", "--requeue", "--open-mode=append"):
        assert any(d.startswith(wanted) for d in directives), wanted
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        done = Job(folder, "done", 0)
        assert done.run()[0] == 0 and done.told("scontrol") is None
        arguments = done.told("srun").split()
        assert "--mpi=pmix" in arguments and arguments[-6:] == ["train", "some.toml", "--set", "train.steps=7", "--resume", "auto"], arguments
        preempted = Job(folder, "preempted", 75, SLURM_RESTART_COUNT="3")
        code, output = preempted.run()
        assert code == 0 and preempted.told("scontrol") == "requeue 4711\n" and "start 4 of at most 50" in output, (code, output)
        for code in (64, 65, 70, 76, 143):
            failed = Job(folder, f"failed-{code}", code)
            assert failed.run()[0] == code and failed.told("scontrol") is None, code
        capped = Job(folder, "capped", 75, SLURM_RESTART_COUNT="1", REQUEUE_LIMIT="2")
        code, output = capped.run()
        assert code == 75 and capped.told("scontrol") is None and "raise REQUEUE_LIMIT" in output, (code, output)
        refused = Job(folder, "refused", 75, SCONTROL_LEAVES_WITH="1")
        code, output = refused.run()
        assert code == 75 and "scontrol requeue failed" in output, (code, output)
        signalled = Job(folder, "signalled", 0, WAIT="yes")
        process = signalled.start()
        deadline = time.monotonic() + 30
        while signalled.told("srun") is None and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(signal.SIGUSR1)  # to the batch shell alone, as --signal=B:USR1 does
        process.communicate(timeout=30)
        assert signalled.told("signal") == "USR1\n" and process.returncode == 0 and signalled.told("scontrol") == "requeue 4711\n"
    print("11 jobs end as their ranks say")


if __name__ == "__main__":
    sys.exit(main())
