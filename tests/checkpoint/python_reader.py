"""A checkpoint written by two ranks, read with the Python reader and with plain h5py after FORMAT.md alone; the export opened by the safetensors package."""

import hashlib
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import h5py
import numpy
import safetensors.numpy

SOURCE = pathlib.Path(os.environ["TRIBUTARY_SOURCE"])
sys.path.insert(0, str(SOURCE / "checkpoints" / "readers"))
import tributary_checkpoint  # noqa: E402

ENTRIES = [("a.weight", (3, 5, 7)), ("b.bias", (2049,)), ("c.weight", (40, 60)), ("e.scalar", (1,)), ("d.frozen", (10,))]


def expected(group, entry, shape):
    """As tests/mpi/checkpoint.cpp fills them."""
    numbers = numpy.arange(int(numpy.prod(shape)), dtype=numpy.uint64) + numpy.uint64(1000 * entry + 7)
    mixed = (numbers * numpy.uint64(2654435761) + numpy.uint64(group * 12345)) & numpy.uint64(0xFFFFFFFF)
    return (mixed.astype(numpy.float64) / 4294967296.0 - 0.5).astype(numpy.float32).reshape(shape)


def same(found, wanted):
    assert found.dtype == numpy.float32 and found.shape == wanted.shape, (found.dtype, found.shape, wanted.shape)
    assert found.tobytes() == wanted.tobytes()
    return found.size


def refused(action):
    try:
        action()
    except (tributary_checkpoint.DamagedCheckpoint, ValueError, OSError) as error:
        return str(error)
    raise AssertionError("a damaged checkpoint was accepted")


def main(writer, mpirun):
    with tempfile.TemporaryDirectory() as folder:
        command = [mpirun, "-n", "2", "--oversubscribe", "--bind-to", "none", writer, "--gtest_filter=Checkpoints.are_written_for_readers_in_other_languages"]
        subprocess.run(command, check=True, env={**os.environ, "TRIBUTARY_SAMPLE": folder}, stdout=subprocess.DEVNULL, timeout=120)
        best = pathlib.Path(folder) / "best"
        compared = 0
        for number, group in enumerate(("model", "optimizer/m", "optimizer/v")):
            arrays = tributary_checkpoint.load(best, group)
            names = sorted(name for name, _ in ENTRIES if number == 0 or name != "d.frozen")
            assert sorted(arrays) == names, sorted(arrays)
            for entry, (name, shape) in enumerate(ENTRIES):
                if name in arrays:
                    compared += same(arrays[name], expected(number, entry, shape))
        assert compared == 4565 + 2 * 4555, compared

        manifest = json.loads((best / "manifest.json").read_text())
        with h5py.File(best / "tensors.h5", "r") as file:
            found = []
            file.visititems(lambda name, item: found.append(name) if isinstance(item, h5py.Dataset) else None)
            assert sorted(found) == sorted(manifest["tensors"])
            for name in found:
                assert hashlib.sha256(file[name][...].tobytes()).hexdigest() == manifest["tensors"][name]["sha256"], name
        assert manifest["extra"] == {"metrics": {"auroc": 0.75}} and manifest["step"] == 20

        weights = safetensors.numpy.load_file(pathlib.Path(folder) / "export" / "model.safetensors")
        assert sorted(weights) == sorted(name for name, _ in ENTRIES)
        for entry, (name, shape) in enumerate(ENTRIES):
            same(weights[name], expected(0, entry, shape))

        for name in ("manifest.json", "config.toml", "tensors.h5"):
            good = (best / name).read_bytes()
            place = good.index(expected(0, 2, (40, 60)).tobytes()[:64]) if name == "tensors.h5" else len(good) // 2
            (best / name).write_bytes(good[:place] + bytes([good[place] ^ 4]) + good[place + 1 :])
            message = refused(lambda: tributary_checkpoint.load(best))
            assert name == "manifest.json" or name in message, message
            (best / name).write_bytes(good[:-1])
            refused(lambda: tributary_checkpoint.load(best))
            (best / name).write_bytes(good)
        tributary_checkpoint.load(best)
    print(f"{compared} values equal")


if __name__ == "__main__":
    main(*sys.argv[1:3])
