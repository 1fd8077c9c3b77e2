"""text_bert written a second time: sequences of marked pairs from their definition, then plain PyTorch in double, pair by pair; no code shared with the program.

Writes text_bert.safetensors: records with their marked sequences, and of every variant the outputs and of each parameter's gradient two random projections and
the sum of squares. The encoder is the one that peer_lm_hhda.py holds to BertModel.
    python text_bert.py            writes the file
    python text_bert.py --check    compares with the file that stands there
"""

import torch

import lm_hhda
from lm_hhda import F64, Parameters, bert, linear, one_loss, signature, store
from lm_hhda_batch import CLS, SEP, mix

WINDOW = 14  # tokens with [CLS] and [SEP]
MARKERS = {("head", "open"): 16, ("head", "close"): 17, ("tail", "open"): 18, ("tail", "close"): 19}
CLASSES, COUNT = 3, 9.0
DEFAULT = {**lm_hhda.DEFAULT, "positions": 16, "weight": 1.0, "class_weight": None}
VARIANTS = {
    "default": {},
    "frozen": {"freeze": True},
    "focal": {"loss": {"relation": "focal"}},
    "generalised": {"loss": {"relation": "generalised_cross_entropy"}},
    "weights": {"class_weight": [0.5, 2.0, 1.25], "weight": 0.5},
}

# Of each record: tokens of its text, mentions (begin, end, concept), number of concepts, pairs (head, tail, class or None).
RECORDS = [
    # mentions of two tokens, of two concepts at one place, one behind the other, one at the end of the text
    {"tokens": 7, "concepts": 3, "mentions": [(0, 2, 0), (4, 5, 1), (4, 5, 2), (5, 7, 1)], "pairs": [(0, 1, 1), (0, 2, 0), (1, 0, 2), (1, 2, 1), (2, 1, None)]},
    # longer than a window: the closest mentions decide, near the beginning, in the middle, near the end; a concept without a mention
    {"tokens": 30, "concepts": 4, "mentions": [(1, 2, 0), (3, 4, 1), (14, 16, 0), (17, 18, 2), (28, 30, 1)],
     "pairs": [(0, 1, 2), (0, 2, 0), (1, 0, 1), (2, 1, 0), (3, 0, 2), (1, 3, 1)]},
    {"tokens": 0, "concepts": 2, "mentions": [], "pairs": [(0, 1, 2)]},
    {"tokens": 3, "concepts": 0, "mentions": [], "pairs": []},
    # two mentions further from each other than a window; one mention inside another; two that overlap; a mention longer than a window
    {"tokens": 40, "concepts": 5, "mentions": [(1, 3, 0), (0, 4, 2), (2, 5, 3), (20, 36, 4), (36, 38, 1)],
     "pairs": [(0, 1, 1), (1, 0, 0), (0, 2, 2), (2, 0, 1), (0, 3, 0), (3, 2, None), (4, 1, 1), (0, 4, 2)]},
]


def texts():
    draw, found = 1000, []
    for record in RECORDS:
        found.append([3 + mix(draw + i) % 13 for i in range(record["tokens"])])
        draw += record["tokens"]
    return found


def marked(text, heads, tails):
    """Elements of the whole marked text: (token, what it belongs to)."""
    spans = [(b, e, "head") for b, e in heads] + [(b, e, "tail") for b, e in tails]
    elements = []
    for place in range(len(text) + 1):
        closing = sorted((s for s in spans if s[1] == place), key=lambda s: (-s[0], s[2] == "head"))
        opening = sorted((s for s in spans if s[0] == place), key=lambda s: (-s[1], s[2] == "tail"))
        elements += [(MARKERS[s[2], "close"], s) for s in closing] + [(MARKERS[s[2], "open"], s) for s in opening]
        if place < len(text):
            elements.append((text[place], None))
    return elements


def sequence(text, heads, tails):
    elements, longest = marked(text, heads, tails), WINDOW - 2
    tokens = [token for token, _ in elements]
    if len(tokens) <= longest:
        return tokens
    distance = lambda h, t: max(0, max(h[0], t[0]) - min(h[1], t[1]))  # noqa: E731
    if heads and tails:
        _, head, tail = min((distance(h, t), h, t) for h in heads for t in tails)
        held = [(*head, "head"), (*tail, "tail")]
    else:
        held = [(*s, "head") for s in sorted(heads)[:1]] + [(*s, "tail") for s in sorted(tails)[:1]]
    places = [i for i, (_, of) in enumerate(elements) if of in held] or [0, -1]
    first, last = places[0], places[-1] + 1
    if last - first > longest:
        return tokens[first:first + (longest + 1) // 2] + tokens[last - longest // 2:last]
    before = (longest - (last - first)) // 2
    start = min(range(len(tokens) - longest + 1), key=lambda s: abs(first - s - before))
    return tokens[start:start + longest]


def sequences():
    found = []
    for text, record in zip(texts(), RECORDS):
        spans = [[(b, e) for b, e, concept in record["mentions"] if concept == c] for c in range(record["concepts"])]
        found += [[CLS] + sequence(text, spans[head], spans[tail]) + [SEP] for head, tail, _ in record["pairs"]]
    return found


def run(c):
    p, rows, total = Parameters(), [], torch.zeros((), dtype=F64)
    labels = [label for record in RECORDS for _, _, label in record["pairs"]]
    for ids, label in zip(sequences(), labels, strict=True):
        first = bert(p, c, ids)[0]
        logits = linear(p, "relation.out", first.detach() if c["freeze"] else first, CLASSES)
        rows.append(torch.softmax(logits, 0))
        if label is not None:
            weight = c["class_weight"][label] if c["class_weight"] else 1.0
            total = total + weight * one_loss(c, "relation", "multiclass", logits, torch.tensor([float(label)], dtype=F64))
    loss = c["weight"] * total / COUNT
    loss.backward()
    gradients = {name: torch.zeros_like(v) if v.grad is None else v.grad for name, v in p.values.items()}
    results = {"probability.relation": torch.stack(rows).detach(), "loss": loss.detach(), "loss_sums": total.detach().reshape(1)}
    return results, {name: g for name, g in gradients.items() if not (c["freeze"] and name.startswith("encoder."))}


def inputs():
    first, mentions, concept_record, pairs = 0, [], [], []
    for b, record in enumerate(RECORDS):
        mentions += [(begin, end, b, first + concept) for begin, end, concept in record["mentions"]]
        pairs += [(first + head, first + tail, b, -7 if label is None else label) for head, tail, label in record["pairs"]]
        concept_record += [b] * record["concepts"]
        first += record["concepts"]
    windows = sequences()
    longest = max(map(len, windows))
    assert longest == WINDOW and min(map(len, windows)) == 2
    arrays = {"text": [token for text in texts() for token in text], "text_lengths": [r["tokens"] for r in RECORDS], "concept_record": concept_record,
              "window_lengths": [len(w) for w in windows], "window_ids": [w + [0] * (longest - len(w)) for w in windows]}
    arrays |= {name: [m[i] for m in mentions] for i, name in enumerate(["mention.token", "mention.end", "mention.record", "mention.concept"])}
    arrays |= {name: [pair[i] for pair in pairs] for i, name in enumerate(["pair.head", "pair.tail", "pair.record", "pair.label"])}
    return {"inputs/" + name: torch.tensor(values, dtype=torch.int64) for name, values in arrays.items()}


def main():
    torch.set_num_threads(1)
    tensors = inputs()
    for variant, changes in VARIANTS.items():
        results, gradients = run({**DEFAULT, **changes})
        tensors.update({f"{variant}/{name}": value for name, value in results.items()})
        tensors.update({f"{variant}/gradient.{name}": signature(name, g) for name, g in gradients.items()})
        print(f"{variant}: loss {results['loss']:.6f}, {len(gradients)} parameters")
    store({"text_bert": tensors}, 700)


if __name__ == "__main__":
    main()
