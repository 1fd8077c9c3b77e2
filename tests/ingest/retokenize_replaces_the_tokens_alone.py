"""`shards retokenize`: the new tokens are those of Hugging Face's tokenizer with the given vocabulary, and every other field keeps its bytes."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile

import h5py
import numpy as np
from tokenizers import BertWordPieceTokenizer

BINARY = os.environ["TRIBUTARY_BINARY"]


def read(directory: pathlib.Path) -> tuple[dict, list[dict]]:
    catalogue = json.loads((directory / "catalogue.json").read_text())
    parts = []
    for part in catalogue["parts"]:
        fields: dict[str, np.ndarray] = {}
        with h5py.File(directory / part["file"]) as file:
            file.visititems(lambda name, item: fields.update({name: item[...]}) if isinstance(item, h5py.Dataset) else None)
        parts.append(fields)
    return catalogue, parts


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        directory, vocabulary = pathlib.Path(folder, "shards"), pathlib.Path(folder, "vocab.txt")
        subprocess.run([BINARY, "shards", "synth", "--out", directory, "--records", "300", "--parts", "2", "--steps", "4", "--notes", "0.8"], check=True)
        before_catalogue, before = read(directory)
        pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".", ",", ":", ";", "-", "the", "patient", "with", "no", "known"]
        pieces += [c for c in "abcdefghijklmnopqrstuvw0123456789"] + ["##" + c for c in "abcdefghijklmnopqrstuvw0123456789"] + ["##ing", "##ed", "pneumo"]
        vocabulary.write_text("".join(piece + "\n" for piece in pieces))
        without_special = pathlib.Path(folder, "bad.txt")
        without_special.write_text("the\n")
        lacking = subprocess.run([BINARY, "shards", "retokenize", directory, "--tokenizer", without_special], capture_output=True, text=True)
        assert lacking.returncode == 65 and "[PAD]" in lacking.stderr, (lacking.returncode, lacking.stderr)
        subprocess.run([BINARY, "shards", "retokenize", directory, "--tokenizer", vocabulary], check=True)
        after_catalogue, after = read(directory)
    assert after_catalogue["tokenizer_digest"] != before_catalogue["tokenizer_digest"]
    assert after_catalogue["content_digest"] != before_catalogue["content_digest"]
    reference = BertWordPieceTokenizer({piece: i for i, piece in enumerate(pieces)}, lowercase=True)
    group = "tokens/" + after_catalogue["tokenizer_digest"]
    tokens = unknown = same_fields = 0
    for old, new in zip(before, after, strict=True):
        offsets, text = new["notes/text_offsets"], new["notes/text"].tobytes()
        ids = np.split(new[group + "/ids"], new[group + "/offsets"][1:-1])
        assert len(ids) == len(offsets) - 1 > 0
        for k, note in enumerate(ids):
            expected = reference.encode(text[offsets[k] : offsets[k + 1]].decode(), add_special_tokens=False).ids
            assert note.tolist() == expected, f"note {k}"
            tokens += len(expected)
            unknown += expected.count(1)
        assert new["index/tokens"].sum() == len(new[group + "/ids"])
        for name in old:
            if not name.startswith("tokens/") and name not in ("index/tokens", "index/longest_note"):
                assert np.array_equal(old[name], new[name]), name
                same_fields += 1
        assert sum(name.startswith("tokens/") for name in new) == 3, sorted(new)
    assert tokens > 40_000 and unknown > 100 and same_fields > 40, (tokens, unknown, same_fields)
    print(f"{tokens} tokens ({unknown} [UNK]) as expected, {same_fields} fields unchanged")
    return 0


if __name__ == "__main__":
    sys.exit(main())
