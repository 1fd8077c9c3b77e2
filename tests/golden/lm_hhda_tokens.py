"""LM-HHDA in tokens mode written a second time: plain PyTorch in double, record by record, straight from the specification, no code shared with the program.

Writes lm_hhda_tokens.safetensors: one batch, and of every variant the outputs and of each parameter's gradient two random projections and the sum of squares.
    python lm_hhda_tokens.py            writes the file
    python lm_hhda_tokens.py --check    compares with the file that stands there
"""

import torch

import lm_hhda
from lm_hhda import F64, RECORDS, Parameters, activation, bert, global_attention, hr_lstm, linear, one_loss, pooling_weights, signature, store

DEFAULT = {**lm_hhda.DEFAULT, "groups": [[], [], []], "weights": {"relation": 0.5}, "relation_layers": [5, 4], "class_weight": None, "entities": True,
           "tasks": ["mortality", "relation", "diagnosis"]}
VARIANTS = {
    "default": {},
    "conv1d": {"transform": "conv1d"},
    "self_attention": {"transform": "self_attention"},
    "no_temporal": {"temporal": False},
    "add": {"fusion": "add"},
    "context": {"kind": "context"},
    "gate_context": {"kind": "gate+context"},
    "plain_lstm": {"hr_lstm": False},
    "plain_relu": {"dynamic_relu": False},
    "no_global": {"global_attention": False},
    "no_cnn": {"ms_cnn": False},
    "frozen": {"freeze": True},
    "relation_alone": {"tasks": ["relation"]},
    "linear_relation": {"relation_layers": []},
    "records_alone": {"tasks": ["mortality", "diagnosis"]},
    "no_entities": {"tasks": ["mortality", "diagnosis"], "entities": False},
    "focal": {"loss": {"relation": "focal"}},
    "generalised": {"loss": {"relation": "generalised_cross_entropy"}},
    "class_weight": {"class_weight": [0.5, 2.0, 1.25]},
}
COUNTS = {"mortality": 4.0, "relation": 7.0, "diagnosis": 3.0}
KINDS = {"mortality": ("binary", 1), "diagnosis": ("multiclass", 3)}
CLASSES = 3

# Of each record: its number of concepts, mentions (token, concept inside the record or None), pairs (head, tail, class or None).
# Concepts without a mention, a mention of two concepts (it counts once among the mentions), a mention without a concept, pairs of a record without tokens.
ENTITIES = [
    {"concepts": 3, "mentions": [(0, 0), (4, 1), (4, 2), (9, 1), (12, None)], "pairs": [(0, 1, 1), (0, 2, 0), (1, 0, 2), (2, 1, None)]},
    {"concepts": 2, "mentions": [], "pairs": [(0, 1, 1)]},
    {"concepts": 4, "mentions": [(1, 3), (2, 0), (8, 3), (16, 1)], "pairs": [(3, 0, 2), (1, 2, 0)]},
    {"concepts": 0, "mentions": [], "pairs": []},
    {"concepts": 1, "mentions": [(3, None), (5, 0)], "pairs": []},
]


def token_states(p, c, b, documents):
    """[n, d], or None for a record without notes."""
    rows = []
    for document in documents:
        if document["record"] != b:
            continue
        states = [bert(p, c, window) for window in document["windows"]]
        if c["freeze"]:
            states = [state.detach() for state in states]
        rows += [states[window][place] for window, place in document["places"]]
    return torch.stack(rows) if rows else None


def with_entities(p, e, mentions):
    contexts = []
    for row in e:
        if not mentions:
            contexts.append(torch.zeros_like(row))
            continue
        tokens = sorted({token for token, _ in mentions})
        scores = torch.stack([row @ p("entity.W_a", e.shape[1], e.shape[1]) @ e[token] for token in tokens])
        contexts.append(sum(weight * e[token] for weight, token in zip(torch.softmax(scores, 0), tokens)))
    return torch.cat([e, torch.stack(contexts)], 1)


def branches(p, c, e):
    result = []
    for number, (q, r) in enumerate(c["pairs"]):
        name = f"cnn.all.convs.{number}"
        w, b = p(name + ".weight", c["filters"], e.shape[1], q), p(name + ".bias", c["filters"])
        n, m, rows = e.shape[0], max(1, e.shape[0] - r * (q - 1)), []
        for i in range(m):
            rows.append(b + sum(w[:, :, tap] @ e[i + tap * r] for tap in range(q) if i + tap * r < n))
        values = activation(p, c, "all", torch.stack(rows))
        for window in range(c["windows"]):
            first, last = window * m // c["windows"], -(-(window + 1) * m // c["windows"]) - 1
            result.append(values[first:last + 1].max(0).values)
    return torch.cat(result)


def fused_sequence(p, c, e, mentions):
    """f~ [n, width] of a record with tokens."""
    sequence = hr_lstm(p, c, [], [with_entities(p, e, mentions) if c["entities"] else e])
    fused = sequence
    if c["ms_cnn"]:
        maxima = branches(p, c, e)
        fused = torch.cat([sequence, maxima.repeat(len(e), 1)], 1) if c["fusion"] == "concat" else sequence + linear(p, "map_p", maxima, c["h"])
    return global_attention(p, c, fused) if c["global_attention"] else fused


def relation_logits(p, c, head, tail):
    g = torch.cat([head, tail, head * tail])
    for number, width in enumerate(c["relation_layers"]):
        g = torch.clamp(linear(p, f"relation.layers.{number}", g, width), min=0)
    return linear(p, "relation.out", g, CLASSES)


def record_task(p, c, name, finals, width, batch):
    kind, out = KINDS[name]
    total, rows = torch.zeros((), dtype=F64), []
    for b, final in enumerate(finals):
        vector = torch.zeros(width, dtype=F64) if final is None else pooling_weights(p, "pool", final) @ final if c["global_attention"] else final.mean(0)
        logits = linear(p, "record." + name, vector, out)
        rows.append(torch.softmax(logits, 0) if kind == "multiclass" else torch.sigmoid(logits))
        if batch[f"label.{name}.valid"][b]:
            total = total + one_loss(c, name, kind, logits, batch[f"label.{name}.value"][b])
    return total, torch.stack(rows)


def relation_task(p, c, finals, width):
    total, rows = torch.zeros((), dtype=F64), []
    for final, entities in zip(finals, ENTITIES):
        concepts = []
        for concept in range(entities["concepts"]):
            own = [final[token] for token, of in entities["mentions"] if of == concept]
            concepts.append(torch.stack(own).mean(0) if own else torch.zeros(width, dtype=F64))
        for head, tail, label in entities["pairs"]:
            logits = relation_logits(p, c, concepts[head], concepts[tail])
            rows.append(torch.softmax(logits, 0))
            if label is not None:
                weight = c["class_weight"][label] if c["class_weight"] else 1.0
                total = total + weight * one_loss(c, "relation", "multiclass", logits, torch.tensor([float(label)], dtype=F64))
    return total, torch.stack(rows)


def run(c, batch, documents):
    p, finals = Parameters(), []
    for b, entities in enumerate(ENTITIES):
        e = token_states(p, c, b, documents)
        finals.append(None if e is None else fused_sequence(p, c, e, entities["mentions"]))
    width = next(final.shape[1] for final in finals if final is not None)
    results, loss, sums = {}, torch.zeros((), dtype=F64), []
    for name in c["tasks"]:
        total, rows = relation_task(p, c, finals, width) if name == "relation" else record_task(p, c, name, finals, width, batch)
        results["probability." + name] = rows.detach()
        sums.append(total.detach())
        loss = loss + c["weights"].get(name, 1.0) * total / COUNTS[name]
    results["loss"], results["loss_sums"] = loss.detach(), torch.stack(sums)
    loss.backward()
    gradients = {name: torch.zeros_like(v) if v.grad is None else v.grad for name, v in p.values.items()}
    return results, {name: g for name, g in gradients.items() if not (c["freeze"] and name.startswith("encoder."))}


def flatten_entities(documents):
    tokens = [sum(len(d["places"]) for d in documents if d["record"] == b) for b in range(len(RECORDS))]
    first, mentions, distinct, concept_record, pairs = 0, [], [], [], []
    for b, entities in enumerate(ENTITIES):
        assert all(token < tokens[b] for token, _ in entities["mentions"])
        distinct += [len(mentions) + i for i, (token, _) in enumerate(entities["mentions"]) if token not in [t for t, _ in entities["mentions"][:i]]]
        mentions += [(token, b, -1 if concept is None else first + concept) for token, concept in entities["mentions"]]
        pairs += [(first + head, first + tail, b, -7 if label is None else label, label is not None) for head, tail, label in entities["pairs"]]
        concept_record += [b] * entities["concepts"]
        first += entities["concepts"]
    arrays = {"record_tokens": tokens, "concept_record": concept_record, "mention.distinct": distinct}
    arrays |= {name: [m[i] for m in mentions] for i, name in enumerate(["mention.token", "mention.record", "mention.concept"])}
    arrays |= {name: [pair[i] for pair in pairs] for i, name in enumerate(["pair.head", "pair.tail", "pair.record", "pair.label"])}
    return {"inputs/" + name: torch.tensor(values, dtype=torch.int64) for name, values in arrays.items()} | {
        "inputs/pair.known": torch.tensor([pair[4] for pair in pairs])}


def main():
    torch.set_num_threads(1)
    documents, batch = lm_hhda.make_notes(), lm_hhda.make_batch()
    tensors = flatten_entities(documents)
    for variant, changes in VARIANTS.items():
        results, gradients = run({**DEFAULT, **changes}, batch, documents)
        tensors.update({f"{variant}/{name}": value for name, value in results.items()})
        tensors.update({f"{variant}/gradient.{name}": signature(name, g) for name, g in gradients.items()})
        print(f"{variant}: loss {results['loss']:.6f}, {len(gradients)} parameters")
    store({"lm_hhda_tokens": tensors}, 1000)


if __name__ == "__main__":
    main()
