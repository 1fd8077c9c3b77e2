"""`shards vocab train`: the same vocabulary on 1, 2 and 3 ranks, as good as Hugging Face's trainer's on text it has not seen, and taken by
`retokenize`."""

import os
import pathlib
import random
import subprocess
import sys
import tempfile

from tokenizers import BertWordPieceTokenizer

BINARY = os.environ["TRIBUTARY_BINARY"]
RANKS = ["mpirun", "--oversubscribe", "--bind-to", "none", "-n"]


def sentences(seed: int, count: int) -> list[str]:
    """Made-up prose: words of few stems, prefixes and endings, of Zipf-like frequency."""
    source = random.Random(seed)
    stems = ["card", "neur", "hepat", "ren", "pulmon", "derm", "oste", "gastr", "enter", "nephr", "arthr", "my", "angi", "encephal", "thromb", "leuk"]
    starts, ends = ["", "", "", "peri", "endo", "hyper", "hypo", "peri", "anti"], ["itis", "osis", "opathy", "ectomy", "oma", "algia", "ology", "ous", "ic"]
    words = [a + b + c for a in starts for b in stems for c in ends]
    random.Random(0).shuffle(words)
    weights = [1 / (rank + 3) for rank in range(len(words))]
    return [" ".join(source.choices(words, weights, k=9)).capitalize() + f", {source.randrange(500)} mg." for _ in range(count)]


def run(*command, expected: int = 0) -> str:
    result = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    assert result.returncode == expected, (command, result.returncode, result.stdout, result.stderr)
    return result.stdout + result.stderr


def main() -> int:
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        files = [folder / "first.txt", folder / "second.txt"]
        for seed, file in enumerate(files):
            file.write_text("\n".join(sentences(seed, 4000)))
        vocabularies = []
        for ranks in (1, 2, 3):
            out = folder / f"on-{ranks}" / "vocab.txt"
            command = [BINARY, "shards", "vocab", "train", "--text", *files, "--out", out, "--size", "700"]
            run(*(RANKS + [str(ranks)] if ranks > 1 else []), *command)
            vocabularies.append(out.read_bytes())
        assert vocabularies[0] == vocabularies[1] == vocabularies[2]
        assert len(vocabularies[0].splitlines()) == 700
        exists = run(BINARY, "shards", "vocab", "train", "--text", files[0], "--out", folder / "on-1" / "vocab.txt", "--size", "700", expected=73)
        assert "exists already" in exists, exists
        nothing = run(BINARY, "shards", "vocab", "train", "--out", folder / "x" / "vocab.txt", "--size", "700", expected=64)
        assert "--shards" in nothing and "--text" in nothing, nothing

        unseen = sentences(9, 1000)
        peer = BertWordPieceTokenizer(lowercase=True)
        peer.train([str(file) for file in files], vocab_size=700, min_frequency=2, show_progress=False)
        own = BertWordPieceTokenizer(str(folder / "on-1" / "vocab.txt"), lowercase=True)
        lengths = [sum(len(e.ids) for e in t.encode_batch(unseen, add_special_tokens=False)) for t in (own, peer)]
        unknown = sum(e.ids.count(own.token_to_id("[UNK]")) for e in own.encode_batch(unseen))
        assert unknown == 0 and 10_000 < lengths[0] < 1.1 * lengths[1], (unknown, lengths)

        shards = folder / "shards"
        run(BINARY, "shards", "synth", "--out", shards, "--records", "200", "--parts", "2", "--steps", "4")
        for ranks in (1, 2):
            out = folder / f"notes-{ranks}" / "vocab.txt"
            run(*RANKS, ranks, BINARY, "shards", "vocab", "train", "--shards", shards, "--out", out, "--size", "400", "--cased")
        assert (folder / "notes-1" / "vocab.txt").read_bytes() == (folder / "notes-2" / "vocab.txt").read_bytes()
        told = run(BINARY, "shards", "retokenize", shards, "--tokenizer", folder / "notes-1")
        assert "400 tokens in the vocabulary" in told, told
        assert '"lowercase": false' in (shards / "catalogue.json").read_text()
    print(f"equal on 1, 2 and 3 ranks; {lengths[0]} tokens of unseen text, {lengths[1]} with the peer's vocabulary")
    return 0


if __name__ == "__main__":
    sys.exit(main())
