"""A run that begins with MiniLM's weights: its exported encoder folder opens with AutoModel and computes what the checkpoint's encoder computes."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile

import numpy
import safetensors.numpy
import torch
import transformers

import peer_encoder

BINARY = os.environ["TRIBUTARY_BINARY"]
CONFIG = """
[data]
shards = "{shards}"
window_tokens = 64
window_stride = 48
notes_per_record = 1
[run]
dir = "{run}"
[train]
steps = 2
global_batch = 4
micro_batch = 2
[text]
pretrained = "{encoder}"
freeze = "5"
[lstm]
layers = 1
width = 8
[use]
global_attention = false
ms_cnn = false
"""


def tributary(*arguments, code=0):
    done = subprocess.run([BINARY, *map(str, arguments)], capture_output=True, text=True, timeout=250)
    assert done.returncode == code, (arguments, done.returncode, done.stderr)
    return done.stderr


def main(run_encoder):
    torch.set_num_threads(1)
    folder = peer_encoder.minilm_folder()
    with tempfile.TemporaryDirectory() as name:
        work = pathlib.Path(name)
        shards = work / "shards"
        tributary("shards", "synth", "--out", shards, "--records", "40", "--parts", "1", "--note-words", "12")
        config = work / "run.toml"
        config.write_text(CONFIG.format(shards=shards, run=work / "run", encoder=folder))
        refused = tributary("train", config, code=65)
        assert "30522" in refused and "retokenize" in refused, refused
        tributary("shards", "retokenize", shards, "--tokenizer", folder)
        log = tributary("train", config)
        assert "position_ids" in log or "pooler" in log, log
        record = json.loads((work / "run" / "run.json").read_text())
        assert record["encoder"]["directory"] == str(folder) and len(record["encoder"]["digest"]) == 64, record["encoder"]
        tributary("export", "--checkpoint", work / "run", "--out", work / "export")

        exported = work / "export" / "encoder"
        weights = safetensors.numpy.load_file(exported / "model.safetensors")
        published = safetensors.numpy.load_file(folder / "model.safetensors")
        moved = {key for key in weights if not numpy.array_equal(weights[key], published[key])}
        assert moved and all("layer.5." in key for key in moved), sorted(moved)[:5]  # text.freeze = "5": embeddings and five layers stay

        random = numpy.random.default_rng(3)
        lengths = [40, 7]
        ids = random.integers(1, 30522, (2, 40))
        safetensors.numpy.save_file({"ids": ids, "lengths": numpy.array(lengths), "upstream": numpy.zeros((47, 384))}, work / "inputs")
        subprocess.run([run_encoder, str(exported), str(work / "inputs"), str(work / "outputs"), "float"], check=True)
        ours = safetensors.numpy.load_file(work / "outputs")["hidden"]
        model = transformers.AutoModel.from_pretrained(exported).eval()
        assert type(model).__name__ == "BertModel" and model.config.vocab_size == 30522
        mask = torch.arange(40)[None, :] < torch.tensor(lengths)[:, None]
        with torch.no_grad():
            theirs = model(input_ids=torch.from_numpy(ids), attention_mask=mask.long()).last_hidden_state[mask].numpy()
        worst = numpy.abs(ours - theirs).max()
        print(f"exported encoder, AutoModel against the checkpoint's blocks: {worst:.2e}; {len(moved)} tensors trained")
        assert worst <= 2e-5 and numpy.abs(theirs).max() > 0.1, worst
        tokenizer = transformers.AutoTokenizer.from_pretrained(exported)
        assert len(tokenizer) == 30522 and tokenizer("Chest pain.")["input_ids"][0] == 101


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
