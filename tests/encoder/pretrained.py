"""Runs that begin with an encoder folder: equal bits on 1 and 3 ranks, resume without the folder, frozen parts that stay, and refusals on all ranks."""

import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

import numpy
import safetensors.numpy

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "fault"))
from runs import BINARY, Run, expect_equal, make_shards  # noqa: E402

SIZES = "[text]\nlayers = 1\nwidth = 16\nheads = 2\nintermediate = 32\npositions = 64\n"


def tributary(*arguments):
    done = subprocess.run([BINARY, *map(str, arguments)], capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    return done.stdout


def run_from(folder, name, shards, encoder, freeze):
    run = Run(folder, name, shards)
    config = run.config.read_text()
    assert SIZES in config
    run.config.write_text(config.replace(SIZES, f'[text]\npretrained = "{encoder}"\nfreeze = "{freeze}"\n'))
    return run


def weights_of(run, out):
    tributary("export", "--checkpoint", run.folder, "--out", out)
    return safetensors.numpy.load_file(out / "encoder" / "model.safetensors")


def make_encoder(folder, shards):
    """A tiny encoder as a run leaves it: two layers of width 16, every parameter off its initial value."""
    first = Run(folder, "first", shards)
    assert first.train(1, "train.steps=2", "text.layers=2") == 0, first.log()
    tributary("export", "--checkpoint", first.folder, "--out", folder / "export")
    encoder = folder / "encoder"
    shutil.copytree(folder / "export" / "encoder", encoder)
    return encoder


def expect_refusals(folder, shards, encoder):
    broken = folder / "broken"
    shutil.copytree(encoder, broken)
    weights = safetensors.numpy.load_file(encoder / "model.safetensors")

    def refused(words, code, *settings):
        run = run_from(folder, f"refused-{len(list(folder.iterdir()))}", shards, broken, "none")
        assert run.train(2, "train.steps=1", *settings) == code, run.log()
        assert all(word in run.log() for word in words), run.log()
        assert not (run.folder / "run.json").exists()

    name = "encoder.layer.1.output.dense.weight"
    safetensors.numpy.save_file({**weights, name: numpy.full_like(weights[name], numpy.nan)}, broken / "model.safetensors")
    refused([name, "not finite"], 65)
    words = (broken / "vocab.txt").read_text().splitlines()
    (broken / "vocab.txt").write_text("\n".join(words[:-1]) + "\n")
    refused([str(len(words)), str(len(words) - 1), "retokenize"], 65)
    (broken / "vocab.txt").write_text("\n".join(words) + "\n")
    (broken / "tokenizer.json").unlink()
    config = json.loads((broken / "tokenizer_config.json").read_text())
    (broken / "tokenizer_config.json").write_text(json.dumps(config | {"do_lower_case": False, "strip_accents": False}))
    refused(["was made for texts tokenized with", '"lowercase":false', '"lowercase":true', "retokenize"], 65)
    shutil.copy(encoder / "tokenizer_config.json", broken)
    refused(["text.width = 32", "contradicts", "16"], 64, "text.width=32")
    (broken / "model.safetensors").rename(broken / "pytorch_model.bin")
    refused(["pickle", "safe_serialization"], 66)
    shutil.rmtree(broken)
    refused(["text.pretrained", "does not exist"], 66)


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        shards = make_shards(folder, 200)
        encoder = make_encoder(folder, shards)
        begun = safetensors.numpy.load_file(encoder / "model.safetensors")
        expect_refusals(folder, shards, encoder)

        three = run_from(folder, "three", shards, encoder, "1")
        assert three.train(3, "train.steps=6") == 0, three.log()
        straight, cut = (run_from(folder, kind, shards, encoder, "1") for kind in ("straight", "cut"))
        assert straight.train(1, "train.steps=6") == 0, straight.log()
        expect_equal(three, straight, 6)
        record = json.loads((straight.folder / "run.json").read_text())
        trained = safetensors.numpy.load_file(encoder / "model.safetensors")
        frozen = sum(w.size for key, w in trained.items() if key.startswith("embeddings.") or ".layer.0." in key)
        assert record["parameters"] - record["trainable_parameters"] == frozen > 0, (record["parameters"], record["trainable_parameters"], frozen)
        assert len(record["encoder"]["digest"]) == 64

        # the folder is not needed to go on, and the digest stays in the record
        assert cut.train(2, "train.steps=6", "run.max_time=0s") == 75, cut.log()
        encoder.rename(folder / "away")
        assert cut.train(2, "train.steps=6") == 0, cut.log()
        expect_equal(cut, straight, 6)
        assert json.loads((cut.folder / "run.json").read_text())["encoder"] == record["encoder"]

        ended = weights_of(straight, folder / "ended")
        moved = {key for key in begun if not numpy.array_equal(begun[key], ended[key])}
        assert moved and all(".layer.1." in key for key in moved), sorted(moved)[:4]


if __name__ == "__main__":
    sys.exit(main())
