"""Loads a Tributary checkpoint without the trainer; needs numpy and h5py. The format: checkpoints/FORMAT.md.

    python tributary_checkpoint.py RUN/best          # lists the tensors after checking every digest
    >>> weights = load("RUN/best")                    # name -> float32 array
"""

import hashlib
import json
import pathlib
import sys

import h5py
import numpy

VERSION = 1
DIGEST_KEY = '"digest": "'


class DamagedCheckpoint(ValueError):
    """The file named in the message is not what the manifest says."""


def read_manifest(directory):
    """The manifest, its own digest and those of the small files checked."""
    directory = pathlib.Path(directory)
    path = directory / "manifest.json"
    text = path.read_bytes().decode("utf-8")
    manifest = json.loads(text)
    if manifest.get("format") != "tributary-checkpoint" or manifest.get("version") != VERSION:
        raise DamagedCheckpoint(f"{path}: format {manifest.get('format')!r} version {manifest.get('version')}, expected tributary-checkpoint {VERSION}")
    place = text.index(DIGEST_KEY) + len(DIGEST_KEY)
    zeroed = text[:place] + "0" * 64 + text[place + 64 :]
    if hashlib.sha256(zeroed.encode("utf-8")).hexdigest() != manifest["digest"]:
        raise DamagedCheckpoint(f"{path}: its digest does not fit")
    for name, entry in manifest["files"].items():
        file = directory / name
        if file.stat().st_size != entry["size"]:
            raise DamagedCheckpoint(f"{file}: {file.stat().st_size} bytes, expected {entry['size']}")
        if "sha256" in entry and hashlib.sha256(file.read_bytes()).hexdigest() != entry["sha256"]:
            raise DamagedCheckpoint(f"{file}: its SHA-256 does not fit")
    lines = "".join(f"{name} {manifest['tensors'][name]['sha256']}\n" for name in sorted(manifest["tensors"], key=str.encode))
    if hashlib.sha256(lines.encode("utf-8")).hexdigest() != manifest["content_digest"]:
        raise DamagedCheckpoint(f"{path}: content_digest does not fit")
    return manifest


def load(directory, group="model"):
    """Arrays of a group ("model", "optimizer/m", "optimizer/v") by parameter name, each checked against its digest."""
    directory = pathlib.Path(directory)
    manifest = read_manifest(directory)
    prefix = group + "/"
    arrays = {}
    with h5py.File(directory / "tensors.h5", "r") as file:
        for name, entry in manifest["tensors"].items():
            if not name.startswith(prefix):
                continue
            array = numpy.ascontiguousarray(file[name][...], dtype="<f4").reshape(entry["shape"])
            if hashlib.sha256(array.tobytes()).hexdigest() != entry["sha256"]:
                raise DamagedCheckpoint(f"{directory / 'tensors.h5'}: {name}: its SHA-256 does not fit")
            arrays[name[len(prefix) :]] = array
    return arrays


if __name__ == "__main__":
    for checkpoint in sys.argv[1:]:
        print(f"{checkpoint}: step {read_manifest(checkpoint)['step']}")
        for parameter, values in sorted(load(checkpoint).items()):
            print(f"  {parameter} {list(values.shape)}")
