"""A full disk and a folder without permission: the right exit code on all ranks, no hang, nothing left behind. Needs root (77 = skipped)."""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

WRITER = pathlib.Path(os.environ["TRIBUTARY_BINARY"]).parent / "tests" / "write_random_set"


def write(directory, ranks, before=()):
    command = [*before, "mpirun", "-n", str(ranks), "--oversubscribe", "--bind-to", "none", str(WRITER), str(directory)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def expect(result, code, word, folder):
    if result.returncode != code or word not in result.stderr or list(folder.iterdir()):
        sys.exit(f"exit {result.returncode} (expected {code}), left {list(folder.iterdir())}, said:\n{result.stderr}")


def main():
    if os.geteuid() != 0:
        print("skipped: needs root to mount a small file system and to become another user")
        return 77
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        folder.chmod(0o755)
        disk = folder / "disk"
        disk.mkdir()
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=48k", "tmpfs", str(disk)], capture_output=True).returncode != 0:
            print("skipped: this machine does not allow a tmpfs to be mounted")
            return 77
        try:
            for kilobytes, ranks in ((48, 1), (700, 2), (300, 3)):
                subprocess.run(["mount", "-o", f"remount,size={kilobytes}k", str(disk)], check=True)
                expect(write(disk / "set", ranks), 74, "free some space", disk)
        finally:
            subprocess.run(["umount", str(disk)], check=True)
        locked = folder / "locked"
        locked.mkdir(mode=0o755)
        own = folder / "own"
        own.mkdir()
        shutil.chown(own, 65534, 65534)
        program = folder / "write_random_set"
        shutil.copy(WRITER, program)
        os.environ.update(TMPDIR=str(own), HOME=str(own))
        globals()["WRITER"] = program
        nobody = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
        expect(write(locked / "set", 2, nobody), 73, "Permission denied", locked)
        result = write(own / "set", 2, nobody)
        if result.returncode != 0 or not (own / "set" / "catalogue.json").exists():
            sys.exit(f"an ordinary user could not write a folder of its own: {result.stderr}")
    print("4 refusals as they should be, and one data set by an ordinary user")
    return 0


if __name__ == "__main__":
    sys.exit(main())
