"""The batch on which the golden values of lm_hhda are computed, made of numbers that belong to names; the C++ test computes the same ones."""

import math

import torch

F64 = torch.float64
MASK64 = (1 << 64) - 1

CHANNELS = [2, 3]
STATICS = 3
STEPS = 7
VOCABULARY = 20
TASKS = [("mortality", "binary", 1), ("diagnosis", "multiclass", 3), ("medication", "multilabel", 4), ("stay", "regression", 1), ("rare", "binary", 1)]
COUNTS = [4.0, 3.0, 12.0, 5.0, 0.0]


def mix(value):
    value = (value + 0x9E3779B97F4A7C15) & MASK64
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & MASK64
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & MASK64
    return value ^ (value >> 31)


def numbers(name, count):
    """`count` numbers in [-1, 1) that belong to a name; the test computes the same."""
    seed = 0xCBF29CE484222325
    for byte in name.encode():
        seed = ((seed ^ byte) * 0x100000001B3) & MASK64
    return torch.tensor([(mix((seed + i) & MASK64) >> 11) * 2.0**-52 - 1.0 for i in range(count)], dtype=F64)


# One batch: what each record has, and its notes as documents -> paragraphs -> sentences -> number of tokens.
RECORDS = [
    {"steps": 7, "static": True, "series": True, "notes": [(1, [[3, 2], [2]]), (4, [[2, 1], [1, 1, 1]])]},
    {"steps": 5, "static": True, "series": True, "notes": []},
    {"steps": 6, "static": True, "series": False, "notes": [(5, [[4, 3, 4], [5], [1]])]},
    {"steps": 4, "static": False, "series": False, "notes": []},
    {"steps": 2, "static": False, "series": True, "notes": [(1, [[2]]), (1, [[3, 1]])]},
]
WINDOW, STRIDE = 9, 4  # tokens of a window with [CLS] and [SEP], distance of windows
CLS, SEP = 1, 2


def make_notes():
    """Documents with their windows, and for every token the window in which it lies furthest from an edge (the first of equals)."""
    documents, draw = [], 0
    for record, about in enumerate(RECORDS):
        for hour, paragraphs in about["notes"]:
            total = sum(sum(sentences) for sentences in paragraphs)
            ids = []
            for _ in range(total):
                ids.append(3 + (mix(draw) % (VOCABULARY - 3)))
                draw += 1
            body, starts = WINDOW - 2, [0]
            while starts[-1] + body < total:
                starts.append(starts[-1] + STRIDE)
            windows = [[CLS] + ids[s:s + body] + [SEP] for s in starts]
            places = []
            for i in range(total):
                best = None
                for w, s in enumerate(starts):
                    if s <= i < min(s + body, total):
                        distance = min(i - s, min(s + body, total) - 1 - i)
                        if best is None or distance > best[0]:
                            best = (distance, w, i - s + 1)
                places.append(best[1:])
            documents.append({"record": record, "hour": hour, "paragraphs": paragraphs, "windows": windows, "places": places})
    return documents


def make_batch():
    rows = len(RECORDS)
    batch = {"steps": torch.tensor([r["steps"] for r in RECORDS])}
    batch["presence"] = torch.tensor([[r["static"], r["series"], bool(r["notes"]), False] for r in RECORDS])
    for g, channels in enumerate(CHANNELS):
        shape = (rows, STEPS, channels)
        count = math.prod(shape)
        parts = {"value": numbers(f"value{g}", count) * 1.5, "observed": (numbers(f"observed{g}", count) > 0).to(F64), "delta": numbers(f"delta{g}", count).abs()}
        for name, values in parts.items():
            values = values.reshape(shape).clone()
            for b, record in enumerate(RECORDS):
                values[b, record["steps"] if record["series"] else 0:] = math.nan
            batch[f"series.{g}.{name}"] = values
    batch["static_value"] = numbers("static", rows * STATICS).reshape(rows, STATICS)
    batch["static_observed"] = (numbers("seen", rows * STATICS) > -0.3).to(F64).reshape(rows, STATICS)
    for b, record in enumerate(RECORDS):
        if not record["static"]:
            batch["static_value"][b] = batch["static_observed"][b] = math.nan
    for name, kind, width in TASKS:
        valid = torch.tensor([mix(7 * b + len(name)) % 4 != 0 for b in range(rows)]) if name != "rare" else torch.zeros(rows, dtype=torch.bool)
        label_width = width if kind == "multilabel" else 1
        raw = numbers("label." + name, rows * label_width).reshape(rows, label_width)
        value = {"multiclass": ((raw + 1) * 1.5).floor(), "regression": raw + 1}.get(kind, (raw > 0).to(F64))
        value = value.clone()
        value[~valid] = math.nan
        batch[f"label.{name}.value"], batch[f"label.{name}.valid"] = value, valid
    return batch


def flatten_notes(documents):
    """The arrays of the program's batch; padding holds ids that no vocabulary has."""
    longest = max(len(w) for d in documents for w in d["windows"])
    ids, lengths, position, sentence, paragraph_of, document_of = [], [], [], [], [], []
    for number, document in enumerate(documents):
        first_window, token = len(ids), 0
        for sentences in document["paragraphs"]:
            document_of.append(number)
            for tokens in sentences:
                paragraph_of.append(len(document_of) - 1)
                for _ in range(tokens):
                    window, place = document["places"][token]
                    position.append((first_window + window) * longest + place)
                    sentence.append(len(paragraph_of) - 1)
                    token += 1
        for window in document["windows"]:
            ids.append(window + [1 << 40] * (longest - len(window)))
            lengths.append(len(window))
    names = ["window_ids", "window_lengths", "token_position", "token_sentence", "sentence_paragraph", "paragraph_document", "document_record", "document_hour"]
    arrays = [ids, lengths, position, sentence, paragraph_of, document_of, [d["record"] for d in documents], [d["hour"] for d in documents]]
    return {"notes." + name: torch.tensor(array, dtype=torch.int64) for name, array in zip(names, arrays)}
