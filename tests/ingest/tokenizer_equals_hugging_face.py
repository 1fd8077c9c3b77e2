"""The tokenizer gives the ids and places of Hugging Face's `tokenizers`: on every code point alone and between letters, on 100,000 random strings, on the
text of the shared data, under all options. With the argument --all the large tables of the data are compared whole instead of in their first lines, and each code point is a text of its own.
"""

import gzip
import json
import os
import pathlib
import struct
import subprocess
import sys
import tempfile
import time

os.environ["TOKENIZERS_PARALLELISM"] = "false"

import numpy as np
from tokenizers import Tokenizer

HELPER = sys.argv[1]
SOURCE = pathlib.Path(os.environ["TRIBUTARY_SOURCE"])
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
CODE_POINTS = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
TABLE_BYTES = 60_000  # of each large table
PROSE_FOLDERS = ("mtsamples", "clinical-dialog-notes", "bc5cdr", "biored", "drug-indications", "bert-vocab")


def data_folder() -> pathlib.Path | None:
    named = os.environ.get("TRIBUTARY_DATA")
    candidates = [pathlib.Path(named)] if named else [SOURCE.parent / "shared/data", SOURCE.parent.parent / "shared/data"]
    return next((path for path in candidates if path.is_dir()), None)


WIDE = [range(0x21, 0x3400), range(0xA000, 0xAC00), range(0xF900, 0x12000), range(0x16E00, 0x17000), range(0x1D000, 0x1F000), range(0x2F800, 0x2FA20)]
NARROW = [range(0x21, 0x2000), range(0x3000, 0x3100), range(0x4E00, 0x4F00), range(0xF900, 0x10000), range(0x1D100, 0x1D200)]


def vocabulary_of(blocks: list[range]) -> list[str]:
    """Characters, plain and continuing, so that a wrong normalisation shows as another id and not as one more [UNK]."""
    characters = [chr(c) for block in blocks for c in block if not 0xD800 <= c < 0xE000]
    pairs = [a + b for a in "abcdefgstu\u00e9\u0301" for b in "aeiourst\u0301\u0323"]
    return SPECIAL + characters + ["##" + c for c in characters] + pairs + ["##" + pair for pair in pairs]


def write_tokenizer(path: pathlib.Path, vocabulary: list[str], **options) -> None:
    normalizer = {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": None, "lowercase": True}
    model = {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100}
    for field in (normalizer, model):
        field.update({name: value for name, value in options.items() if name in field})
    model["vocab"] = {piece: i for i, piece in enumerate(vocabulary)}
    added = [{"id": vocabulary.index(name), "content": name, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
             for name in options.get("special", SPECIAL)]
    path.write_text(json.dumps({"version": "1.0", "truncation": None, "padding": None, "added_tokens": added, "normalizer": normalizer, "decoder": None,
                                "pre_tokenizer": {"type": "BertPreTokenizer"}, "post_processor": None, "model": model}))


def ours(tokenizer: pathlib.Path, texts: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Tokens of each text, and rows of (id, begin, end) in characters."""
    encoded = [text.encode() for text in texts]
    output = subprocess.run([HELPER, tokenizer], input=b"".join(struct.pack("<I", len(text)) + text for text in encoded), capture_output=True, check=False)
    assert output.returncode == 0, output.stderr.decode()
    numbers = np.frombuffer(output.stdout, np.int32)
    counts, rows, at = np.zeros(len(texts), np.int64), [], 0
    for i in range(len(texts)):
        count = counts[i] = numbers[at]
        rows.append(numbers[at + 1 : at + 1 + 3 * count].reshape(3, count))
        at += 1 + 3 * count
    assert at == len(numbers)
    table = np.concatenate(rows, axis=1).T.astype(np.int64)
    bytes_ = np.frombuffer(b"".join(encoded), np.uint8)
    characters = np.concatenate([[0], np.cumsum((bytes_ & 0xC0) != 0x80)])  # that begin before each byte
    first = np.repeat(np.concatenate([[0], np.cumsum([len(text) for text in encoded])])[:-1], counts)
    for column in (1, 2):
        table[:, column] = characters[first + table[:, column]] - characters[first]
    return counts, table


def theirs(reference: Tokenizer, texts: list[str]) -> tuple[np.ndarray, np.ndarray]:
    counts, ids, offsets = np.zeros(len(texts), np.int64), [], []
    for i in range(0, len(texts), 4096):
        for k, encoding in enumerate(reference.encode_batch(texts[i : i + 4096], add_special_tokens=False)):
            ids += encoding.ids
            offsets += encoding.offsets
            counts[i + k] = len(encoding)
    return counts, np.concatenate([np.array(ids, np.int64)[:, None], np.array(offsets, np.int64).reshape(-1, 2)], axis=1)


def compare(name: str, tokenizer: pathlib.Path, texts: list[str], at_least: int, most_unknown: float = 0.5) -> bool:
    started = time.perf_counter()
    (our_counts, our_rows), (counts, rows) = ours(tokenizer, texts), theirs(Tokenizer.from_file(str(tokenizer)), texts)
    unknown = int((rows[:, 0] == 1).sum())
    assert len(rows) >= at_least, (name, len(rows))
    assert unknown <= most_unknown * len(rows), (name, unknown, len(rows))
    same = np.array_equal(our_counts, counts) and np.array_equal(our_rows, rows)
    ends, our_ends = np.cumsum(counts), np.cumsum(our_counts)
    shown = 0
    for i in range(len(texts) if not same else 0):
        own, reference = our_rows[our_ends[i] - our_counts[i] : our_ends[i]], rows[ends[i] - counts[i] : ends[i]]
        if not np.array_equal(own, reference):
            print(f"{name}: {texts[i]!a}\n  ours   {own.tolist()}\n  theirs {reference.tolist()}"[:1500])
            shown += 1
            if shown == 5:
                break
    print(f"{name}: {len(texts)} texts, {len(rows)} tokens, {unknown} of them [UNK]: {'equal' if same else 'DIFFERENT'}, {time.perf_counter() - started:.1f} s")
    return same


def random_texts(count: int, seed: int) -> list[str]:
    """Strings of characters from pools that each exercise one rule, in runs, with names of special tokens among them."""
    draw = np.random.default_rng(seed)
    span = lambda first, last: [chr(c) for c in range(first, last + 1)]
    pools = [span(0x61, 0x7A), span(0x41, 0x5A) + span(0x30, 0x39), span(0x20, 0x7E), [" "], span(0, 0x20) + span(0x7F, 0xA0), span(0xA1, 0x17F), span(0x180, 0x24F),
             span(0x300, 0x36F), span(0x300, 0x345), span(0x370, 0x52F), span(0x590, 0x6FF), span(0x900, 0xDFF), span(0xE00, 0xFFF), span(0x1100, 0x11FF),
             span(0x1AB0, 0x1B4F), span(0x1D00, 0x1EFF), span(0x1F00, 0x206F), span(0x2070, 0x2BFF), span(0x2E00, 0x30FF), span(0x4E00, 0x4EFF), span(0xAC00, 0xAD00),
             span(0xA640, 0xABFF), span(0xF900, 0xFAFF), span(0xFB00, 0xFFFF), span(0x1D15E, 0x1D1AD), span(0x11000, 0x1147F), span(0x1E800, 0x1E95F),
             span(0x1F300, 0x1F6FF), span(0xE000, 0xE010) + ["\ufffd", "\ufeff", "\u200d", "\u200b", "\u0130", "\u1e9e", "\u037e", "\u212b", "\u2126"],
             SPECIAL + ["[MASK", "[", "]", "[sep]", "PAD]", "##", "##a", "[[CLS]]"], [" ", "\n", "\t", "\r\n", "\u00a0", "\u3000", "\u2028"], span(0xE0000, 0xE01EF),
             span(0x302A, 0x302F) + span(0x1B44, 0x1B44) + span(0xA953, 0xA953) + ["\U000111c0", "\u0f73", "\u0f75", "\u0f81", "\u0344", "\U0001d160"], ["a" * 60, "\u00e9" * 50]]
    texts = []
    for _ in range(count):
        text = ""
        for pool in draw.integers(len(pools), size=draw.integers(1, 9)):
            characters = pools[pool]
            text += "".join([characters[i] for i in draw.integers(len(characters), size=draw.integers(1, 6))])
        texts.append(text)
    return texts


def lines_of(path: pathlib.Path, most: int | None) -> list[str]:
    data = (gzip.open(path) if path.suffix == ".gz" else path.open("rb")).read(-1 if most is None else most)
    return data.decode("utf-8", "replace").replace("\r\n", "\n").split("\n")


def data_texts(folder: pathlib.Path, whole: bool) -> list[str]:
    texts = []
    for path in sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.endswith(".npz")):
        lines = lines_of(path, None if whole or path.relative_to(folder).parts[0] in PROSE_FOLDERS else TABLE_BYTES)
        texts += ["\n".join(lines[i : i + 8]) for i in range(0, len(lines), 8)]
    return texts


def main() -> int:
    whole = "--all" in sys.argv
    data = data_folder()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        wide, cased = folder / "wide.json", folder / "cased.json"
        write_tokenizer(wide, vocabulary_of(WIDE))
        write_tokenizer(cased, vocabulary_of(WIDE), lowercase=False)
        group = 1 if whole else 16  # of code points a text, with blanks between
        results = []
        for what, form, tokenizers in (("alone", "{}", (wide,)), ("between letters", "a{}b", (wide, cased))):
            words = [form.format(chr(c)) for c in CODE_POINTS]
            texts = [" ".join(words[i : i + group]) for i in range(0, len(words), group)]
            for tokenizer in tokenizers:  # the second in an eighth of the texts, those of the first two planes, unless all are asked for
                chosen = texts if whole or tokenizer == tokenizers[0] else texts[: len(texts) // 8]
                results += [compare(f"code points {what}, {tokenizer.stem}", tokenizer, chosen, 100_000, 0.98)]
        results += [compare("random strings, uncased", wide, random_texts(100_000, 1), 900_000)]
        variants = {"cased": {"lowercase": False}, "accents kept": {"strip_accents": False}, "cased without accents": {"lowercase": False, "strip_accents": True},
                    "not cleaned": {"clean_text": False}, "ideographs together": {"handle_chinese_chars": False}, "short words": {"max_input_chars_per_word": 3},
                    "two special tokens": {"special": ["[MASK]", "[UNK]"]}}
        for seed, (what, options) in enumerate(variants.items(), 2):
            write_tokenizer(folder / "variant.json", vocabulary_of(NARROW), **options)
            results += [compare(f"random strings, {what}", folder / "variant.json", random_texts(10_000, seed), 25_000, 0.95)]
        texts = random_texts(3000, 30)  # and the last of these as an export writes it
        subprocess.run([HELPER, folder / "variant.json", folder], check=True)
        results += [compare("random strings, exported tokenizer", folder / "tokenizer.json", texts, 8_000, 0.95)]
        exported, original = (theirs(Tokenizer.from_file(str(folder / name)), texts)[1] for name in ("tokenizer.json", "variant.json"))
        results += [np.array_equal(exported, original)]
        vocabulary = vocabulary_of(NARROW)
        write_tokenizer(folder / "prefix.json", vocabulary + ["@@" + piece for piece in vocabulary if len(piece) == 1], continuing_subword_prefix="@@")
        results += [compare("random strings, another prefix", folder / "prefix.json", random_texts(10_000, 20), 25_000, 0.95)]
        if data is not None:
            bert = (data / "bert-vocab/bert-base-uncased-vocab.txt").read_text().split("\n")[:-1]
            write_tokenizer(folder / "bert.json", bert)
            results += [compare("shared data", folder / "bert.json", data_texts(data, whole), 1_000_000)]
    if not all(results):
        return 1
    if data is None:
        print("skipped: the shared data is not here (TRIBUTARY_DATA names its folder); all else is equal")
        return 77
    return 0


if __name__ == "__main__":
    sys.exit(main())
