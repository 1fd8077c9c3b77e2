"""What text_mlm leaves opens with AutoModelForMaskedLM, nothing missing and nothing unexpected, and gives every token of the vocabulary the same probability."""

import pathlib
import subprocess
import sys
import tempfile

import numpy
import safetensors.numpy
import torch
import transformers

from raw_notes import SETTINGS, make_raw_shards, tributary
from runs import Run


def compare(run_masked: str, model: torch.nn.Module, folder: pathlib.Path, encoder: pathlib.Path) -> float:
    """Largest difference of a logarithm of a probability, over all tokens of the vocabulary at some places."""
    random = numpy.random.default_rng(4)
    vocabulary, lengths, places = model.config.vocab_size, [40, 7, 64], [(0, 1), (0, 38), (1, 3), (2, 1), (2, 60)]
    ids = random.integers(1, vocabulary, (3, 64))
    positions = numpy.repeat([window * 64 + place for window, place in places], vocabulary)
    tokens = numpy.tile(numpy.arange(vocabulary), len(places))
    safetensors.numpy.save_file({"ids": ids, "lengths": numpy.array(lengths), "positions": positions, "tokens": tokens}, folder / "inputs")
    subprocess.run([run_masked, str(encoder), str(folder / "inputs"), str(folder / "outputs")], check=True)
    ours = safetensors.numpy.load_file(folder / "outputs")["told"].reshape(len(places), vocabulary, 2)
    mask = torch.arange(64)[None, :] < torch.tensor(lengths)[:, None]
    with torch.no_grad():
        logits = model(input_ids=torch.from_numpy(ids), attention_mask=mask.long()).logits
    theirs = torch.stack([torch.log_softmax(logits[window, place], 0) for window, place in places]).numpy()
    assert theirs.std() > 0.1 and numpy.array_equal(ours[:, :, 1].argmax(1), theirs.argmax(1)) and (ours[:, :, 1].sum(1) == 1).all()
    return float(numpy.abs(-ours[:, :, 0] - theirs).max())


def main(run_masked: str) -> None:
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        run = Run(folder, "run", make_raw_shards(folder, 150))
        assert run.train(1, *SETTINGS, "train.steps=8") == 0, run.log()
        tributary("export", "--checkpoint", run.folder, "--out", folder / "export")
        encoder = folder / "export" / "encoder"
        weights, parameters = (safetensors.numpy.load_file(path / "model.safetensors") for path in (encoder, encoder.parent))
        renamed = {key.replace("encoder.", "bert.", 1) if key.startswith("encoder.") else key: value for key, value in parameters.items()}
        assert weights.keys() == renamed.keys() and len(weights) == 26 and all(numpy.array_equal(weights[key], renamed[key]) for key in weights)

        model, info = transformers.AutoModelForMaskedLM.from_pretrained(encoder, output_loading_info=True)
        assert type(model).__name__ == "BertForMaskedLM"
        assert not any(info[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys", "error_msgs")), info
        worst = compare(run_masked, model.eval(), folder, encoder)
        print(f"every token's log-probability, AutoModelForMaskedLM against the program: {worst:.2e}")
        assert worst <= 2e-5, worst
        # what transformers saves again is taken back, its own way of repeating tied weights included
        model.save_pretrained(folder / "again", safe_serialization=True)
        assert compare(run_masked, model, folder, folder / "again") <= 2e-5
        plain = transformers.AutoModel.from_pretrained(encoder)
        assert type(plain).__name__ == "BertModel" and numpy.array_equal(plain.state_dict()["embeddings.word_embeddings.weight"].numpy(), weights["bert.embeddings.word_embeddings.weight"])
        tokenizer = transformers.AutoTokenizer.from_pretrained(encoder)
        assert len(tokenizer) == model.config.vocab_size and tokenizer.mask_token == "[MASK]"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
