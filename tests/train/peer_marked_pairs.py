"""The marked sequences of BC5CDR's candidate pairs equal those that Hugging Face's tokenizers, the source's own files and the script of the golden values give:
mentions of one to many word pieces, of several concepts, inside each other; texts longer than the window."""

import os
import pathlib
import subprocess
import sys
import tempfile

from tokenizers import BertWordPieceTokenizer

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / folder) for folder in ("golden", "ingest")]
import text_bert  # noqa: E402
from documents_equal_their_source import BINARY, CORPORA, SOURCE, folder_of, read_source  # noqa: E402

WINDOW = 200


def spans_of(document, encoding):
    """Of each concept the places of its mentions in the tokens."""
    before = [0]
    for character in document["text"]:
        before.append(before[-1] + len(character.encode()))
    places = [(before[begin], before[end]) for begin, end in encoding.offsets]
    spans = {}
    for begin, end, _, concept in document["mentions"]:
        inside = [i for i, (first, _) in enumerate(places) if begin <= first < end] or [i for i, (first, last) in enumerate(places) if first < end and last > begin]
        if concept is not None and inside:
            spans.setdefault(concept, set()).add((inside[0], inside[-1] + 1))
    return spans


def main():
    folder, words = folder_of("bc5cdr"), folder_of("bert-vocab")
    if folder is None or words is None:
        print("skipped: no data; TRIBUTARY_DATA names the folder that holds bc5cdr and bert-vocab")
        return 77
    vocabulary = words / "bert-base-uncased-vocab.txt"
    tokenizer = BertWordPieceTokenizer(str(vocabulary), lowercase=True)
    text_bert.WINDOW = WINDOW
    text_bert.MARKERS = {(role, edge): tokenizer.token_to_id(f"[unused{k}]")
                         for k, (role, edge) in enumerate([("head", "open"), ("head", "close"), ("tail", "open"), ("tail", "close")], 1)}
    ends = [tokenizer.token_to_id(name) for name in ("[CLS]", "[SEP]")]
    documents = read_source(folder, CORPORA["bc5cdr"])
    chosen = set(sorted(documents)[::5])
    compared = cut = pieces = 0
    with tempfile.TemporaryDirectory() as name:
        shards = pathlib.Path(name) / "shards"
        built = subprocess.run([BINARY, "shards", "build", SOURCE / "shards" / "recipes" / "bc5cdr.toml", "--source", folder, "--tokenizer", vocabulary, "--out", shards],
                               capture_output=True, text=True)
        assert built.returncode == 0, built.stderr
        written = subprocess.run([sys.argv[1], shards, str(WINDOW)], capture_output=True, text=True)
        assert written.returncode == 0, written.stderr
    last = None
    for line in written.stdout.splitlines():
        key, head, tail, ids = line.split("\t")
        if key not in chosen:
            continue
        if key != last:
            last, encoding = key, tokenizer.encode(documents[key]["text"], add_special_tokens=False)
            spans = spans_of(documents[key], encoding)
        heads, tails = sorted(spans.get(head, ())), sorted(spans.get(tail, ()))
        expected = [ends[0], *text_bert.sequence(encoding.ids, heads, tails), ends[1]]
        assert [int(i) for i in ids.split()] == expected, (key, head, tail)
        compared += 1
        cut += len(expected) == WINDOW
        pieces += any(end - begin > 1 for begin, end in heads) and any(end - begin > 1 for begin, end in tails)
    assert compared > 2000 and cut > 500 and compared - cut > 200 and pieces > 500, (compared, cut, pieces)
    print(f"{compared} sequences are equal, {cut} of them cut; {pieces} with mentions of several pieces of both concepts")
    return 0


if __name__ == "__main__":
    sys.exit(main())
