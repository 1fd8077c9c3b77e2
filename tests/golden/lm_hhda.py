"""LM-HHDA in timeline mode written a second time: plain PyTorch in double, record by record, straight from the specification, no code shared with the program.

Writes lm_hhda_inputs.safetensors (one batch), lm_hhda_default.safetensors (outputs and every gradient) and lm_hhda_variants.safetensors (outputs, and of every
parameter's gradient two random projections and the sum of squares). Needs torch; with transformers it also holds its BERT to BertModel.
    python lm_hhda.py            writes the files
    python lm_hhda.py --check    compares with the files that stand there
"""

import math
import pathlib
import sys

import torch
from safetensors.torch import load_file, save_file

from lm_hhda_batch import CHANNELS, COUNTS, F64, RECORDS, STATICS, TASKS, VOCABULARY, flatten_notes, make_batch, make_notes, numbers

HERE = pathlib.Path(__file__).resolve().parent
DEFAULT = {
    "d": 8, "text_heads": 2, "intermediate": 12, "text_layers": 2, "positions": 10, "freeze": False, "paragraph": "mean", "document": "mean",
    "layers": 3, "h": 6, "transform": "fc", "kernel": 3, "temporal": True, "groups": [[0, 1], [], []],
    "pairs": [(3, 1), (2, 4)], "filters": 3, "windows": 3, "fusion": "concat", "kind": "gate", "heads": 2, "head_width": 4,
    "hr_lstm": True, "dynamic_relu": True, "global_attention": True, "ms_cnn": True,
    "weights": {"diagnosis": 0.5}, "loss": {}, "positive_weight": {}, "gamma": 2.0, "alpha": 0.75, "q": 0.7,
}
VARIANTS = {
    "default": {},
    "conv1d": {"transform": "conv1d"},
    "conv1d_wide": {"transform": "conv1d", "kernel": 5},
    "self_attention": {"transform": "self_attention"},
    "no_temporal": {"temporal": False},
    "add": {"fusion": "add"},
    "context": {"kind": "context"},
    "gate_context": {"kind": "gate+context"},
    "split_groups": {"groups": [[1], [0], []]},
    "late_groups": {"groups": [[], [0, 1], []]},
    "plain_lstm": {"hr_lstm": False},
    "plain_relu": {"dynamic_relu": False},
    "no_global": {"global_attention": False},
    "no_cnn": {"ms_cnn": False},
    "no_cnn_context": {"ms_cnn": False, "kind": "context"},
    "no_global_no_cnn": {"ms_cnn": False, "global_attention": False},
    "hierarchy": {"paragraph": "attention", "document": "attention"},
    "frozen": {"freeze": True},
    "focal": {"loss": {"mortality": "focal", "diagnosis": "focal"}},
    "generalised": {"loss": {"mortality": "generalised_cross_entropy", "diagnosis": "generalised_cross_entropy"}},
    "log_regression": {"loss": {"stay": "squared_log_error"}},
    "positive_weight": {"positive_weight": {"mortality": 2.5, "medication": 0.4}},
}


SCALES = {"drelu.second": 0.15, ".lstm.weight": 3.0, "attention.q": 3.0, "attention.k": 3.0, "pool.": 2.0, "temporal.": 2.0}


class Parameters:
    """Every parameter random, none at its initial value; made when first asked for."""

    def __init__(self):
        self.values = {}

    def __call__(self, name, *shape):
        if name not in self.values:
            count = math.prod(shape)
            values = numbers(name, count).reshape(shape)
            if "LayerNorm.weight" in name:
                values = 1 + 0.3 * values
            elif len(shape) == 1:
                values = 0.3 * values
            else:
                values = values * (1.5 / math.sqrt(count / shape[0]))
                # Large enough that positions differ and attention is far from uniform, small enough that the dynamic ReLU lets most pass.
                values = values * next((scale for part, scale in SCALES.items() if part in name), 1.0)
            self.values[name] = values.requires_grad_(True)
        assert tuple(self.values[name].shape) == shape, name
        return self.values[name]


def linear(p, name, x, out, bias=True):
    y = x @ p(name + ".weight", out, x.shape[-1]).T
    return y + p(name + ".bias", out) if bias else y


def layer_norm(p, name, x):
    centred = x - x.mean(-1, keepdim=True)
    scaled = centred / torch.sqrt((centred**2).mean(-1, keepdim=True) + 1e-12)
    return scaled * p(name + ".weight", x.shape[-1]) + p(name + ".bias", x.shape[-1])


def bert(p, c, ids):
    """Hidden states of one window without padding, [n, d]."""
    d, n = c["d"], len(ids)
    words = p("encoder.embeddings.word_embeddings.weight", VOCABULARY, d)
    places = p("encoder.embeddings.position_embeddings.weight", c["positions"], d)
    types = p("encoder.embeddings.token_type_embeddings.weight", 2, d)
    x = layer_norm(p, "encoder.embeddings.LayerNorm", torch.stack([words[t] for t in ids]) + places[:n] + types[0])
    for layer in range(c["text_layers"]):
        name = f"encoder.encoder.layer.{layer}."
        q, k, v = (linear(p, name + "attention.self." + part, x, d) for part in ("query", "key", "value"))
        size, contexts = d // c["text_heads"], []
        for head in range(c["text_heads"]):
            part = slice(head * size, (head + 1) * size)
            contexts.append(torch.softmax(q[:, part] @ k[:, part].T / math.sqrt(size), -1) @ v[:, part])
        x = layer_norm(p, name + "attention.output.LayerNorm", linear(p, name + "attention.output.dense", torch.cat(contexts, 1), d) + x)
        middle = linear(p, name + "intermediate.dense", x, c["intermediate"])
        middle = 0.5 * middle * (1 + torch.erf(middle / math.sqrt(2)))
        x = layer_norm(p, name + "output.LayerNorm", linear(p, name + "output.dense", middle, d) + x)
    return x


def pooling_weights(p, name, x):
    hidden = torch.tanh(linear(p, name + ".W", x, 64))
    return torch.softmax(linear(p, name + ".v", hidden, 1, bias=False)[:, 0], 0)


def pooled(p, name, rows, kind):
    x = torch.stack(rows)
    return x.mean(0) if kind == "mean" else pooling_weights(p, name, x) @ x


def document_embedding(p, c, document):
    states = [bert(p, c, window) for window in document["windows"]]
    if c["freeze"]:
        states = [state.detach() for state in states]
    token, paragraphs = 0, []
    for lengths in document["paragraphs"]:
        sentences = []
        for count in lengths:
            places = document["places"][token:token + count]
            token += count
            sentences.append(torch.stack([states[w][i] for w, i in places]).mean(0))
        paragraphs.append(pooled(p, "hierarchy.paragraph", sentences, c["paragraph"]))
    return pooled(p, "hierarchy.document", paragraphs, c["document"])


def activation(p, c, name, y):
    """Dynamic ReLU of set `name` on every row of y [n, width]."""
    if not c["dynamic_relu"]:
        return torch.clamp(y, min=0)
    rows = []
    for row in y:
        u = torch.tanh(linear(p, "drelu.first." + name, row.mean().reshape(1), 64))
        alpha = linear(p, f"drelu.second.{name}_{y.shape[1]}", u, y.shape[1])
        rows.append(torch.maximum(torch.zeros_like(row), row - alpha))
    return torch.stack(rows)


def lstm(p, name, x, h):
    w_ih, w_hh = p(name + ".weight_ih_l0", 4 * h, x.shape[1]), p(name + ".weight_hh_l0", 4 * h, h)
    b_ih, b_hh = p(name + ".bias_ih_l0", 4 * h), p(name + ".bias_hh_l0", 4 * h)
    state, cell, outputs = torch.zeros(h, dtype=F64), torch.zeros(h, dtype=F64), []
    for row in x:
        gates = w_ih @ row + b_ih + w_hh @ state + b_hh
        i, f, g, o = torch.sigmoid(gates[:h]), torch.sigmoid(gates[h:2 * h]), torch.tanh(gates[2 * h:3 * h]), torch.sigmoid(gates[3 * h:])
        cell = f * cell + i * g
        state = o * torch.tanh(cell)
        outputs.append(state)
    return torch.stack(outputs)


def transform(p, c, name, o):
    n, h = o.shape
    if c["transform"] == "fc":
        return torch.clamp(linear(p, name + ".fc", o, h), min=0)
    if c["transform"] == "conv1d":
        w, b, side = p(name + ".conv.weight", h, h, c["kernel"]), p(name + ".conv.bias", h), c["kernel"] // 2
        rows = []
        for i in range(n):
            row = b
            for tap in range(c["kernel"]):
                if 0 <= i - side + tap < n:
                    row = row + w[:, :, tap] @ o[i - side + tap]
            rows.append(torch.clamp(row, min=0))
        return torch.stack(rows)
    q, k, v = (linear(p, f"{name}.{part}", o, h, bias=False) for part in "qkv")
    return torch.softmax(q @ k.T / math.sqrt(h), -1) @ v


def hr_lstm(p, c, z, extra):
    """z: the groups' inputs [n, 3C]; extra: notes and statics, for layer 1. -> [n, h]"""
    groups = c["groups"] if c["hr_lstm"] else [list(range(len(z)))] + [[]] * (c["layers"] - 1)
    previous = None
    for layer in range(c["layers"]):
        parts = ([previous] if previous is not None else []) + [z[g] for g in groups[layer]] + (extra if layer == 0 else [])
        o = lstm(p, f"lstm.{layer}.lstm", torch.cat(parts, 1), c["h"])
        if c["hr_lstm"]:
            chosen = f"g{groups[layer][0]}" if len(groups[layer]) == 1 else "all"
            previous = activation(p, c, chosen, o + transform(p, c, f"lstm.{layer}", o))
        else:
            previous = o
    if c["hr_lstm"] and c["temporal"]:
        beta = pooling_weights(p, "temporal", previous)
        previous = previous + beta @ previous
    return previous


def branches(p, c, z):
    result = []
    for g, x in enumerate(z):
        for number, (q, r) in enumerate(c["pairs"]):
            name = f"cnn.g{g}.convs.{number}"
            w, b = p(name + ".weight", c["filters"], x.shape[1], q), p(name + ".bias", c["filters"])
            n, m, rows = x.shape[0], max(1, x.shape[0] - r * (q - 1)), []
            for i in range(m):
                row = b
                for tap in range(q):
                    if i + tap * r < n:
                        row = row + w[:, :, tap] @ x[i + tap * r]
                rows.append(row)
            values = activation(p, c, f"g{g}", torch.stack(rows))
            for window in range(c["windows"]):
                first, last = window * m // c["windows"], -(-(window + 1) * m // c["windows"]) - 1
                result.append(values[first:last + 1].max(0).values)
    return torch.cat(result)


def global_attention(p, c, f):
    n, width, heads, size = f.shape[0], f.shape[1], c["heads"], c["head_width"]
    q, k = (linear(p, f"attention.{part}", f, heads * size, bias=False) for part in "qk")
    gate, contexts = torch.zeros(n, dtype=F64), []
    v = linear(p, "attention.v", f, heads * size, bias=False) if c["kind"] != "gate" else None
    for head in range(heads):
        part = slice(head * size, (head + 1) * size)
        weights = torch.softmax(q[:, part] @ k[:, part].T / math.sqrt(size), -1)
        gate = gate + weights.sum(0) / heads
        if v is not None:
            contexts.append(weights @ v[:, part])
    context = linear(p, "attention.o", torch.cat(contexts, 1), width, bias=False) if contexts else None
    return {"gate": lambda: gate[:, None] * f, "context": lambda: f + context, "gate+context": lambda: gate[:, None] * f + context}[c["kind"]]()


def record_vector(p, c, batch, b, documents):
    """The pooled vector of record b, or None where it has no modality at all."""
    record, n = RECORDS[b], RECORDS[b]["steps"]
    if not (record["static"] or record["series"] or record["notes"]):
        return None
    z = []
    for g, channels in enumerate(CHANNELS):
        if record["series"]:
            z.append(torch.cat([batch[f"series.{g}.{part}"][b, :n] for part in ("value", "observed", "delta")], 1))
        else:
            z.append(torch.cat([torch.zeros(n, 2 * channels, dtype=F64), torch.ones(n, channels, dtype=F64)], 1))
    hours, flags = [], []
    for hour in range(n):
        here = [document_embedding(p, c, d) for d in documents if d["record"] == b and d["hour"] == hour]
        hours.append(torch.stack(here).mean(0) if here else torch.zeros(c["d"], dtype=F64))
        flags.append(torch.tensor([1.0 if here else 0.0], dtype=F64))
    static = torch.cat([batch["static_value"][b], batch["static_observed"][b]]) if record["static"] else torch.zeros(2 * STATICS, dtype=F64)
    sequence = hr_lstm(p, c, z, [torch.stack(hours), torch.stack(flags), static.repeat(n, 1)])
    fused = sequence
    if c["ms_cnn"]:
        maxima = branches(p, c, z)
        fused = torch.cat([sequence, maxima.repeat(n, 1)], 1) if c["fusion"] == "concat" else sequence + linear(p, "map_p", maxima, c["h"])
    if not c["global_attention"]:
        return fused.mean(0)
    final = global_attention(p, c, fused)
    return pooling_weights(p, "pool", final) @ final


def one_loss(c, name, kind, logits, value):
    wanted = c["loss"].get(name, "")
    if kind == "regression":
        return (logits[0] - (torch.log(1 + value[0]) if wanted == "squared_log_error" else value[0])) ** 2
    if kind == "multilabel" or (kind == "binary" and not wanted):
        weight = c["positive_weight"].get(name, 1.0)
        p1 = torch.sigmoid(logits)
        return -(weight * value * torch.log(p1) + (1 - value) * torch.log(1 - p1)).sum()
    if kind == "binary":
        p1 = torch.sigmoid(logits[0])
        p_t, alpha = (p1, c["alpha"]) if value[0] == 1 else (1 - p1, 1 - c["alpha"])
    else:
        p_t, alpha = torch.softmax(logits, 0)[int(value[0])], 1.0
    if wanted == "focal":
        return -alpha * (1 - p_t) ** c["gamma"] * torch.log(p_t)
    if wanted == "generalised_cross_entropy":
        return (1 - p_t ** c["q"]) / c["q"]
    return -torch.log(p_t)


def told(c, name, logits):
    """The prediction of a regression head in the units of the label."""
    return torch.exp(logits) - 1 if c["loss"].get(name) == "squared_log_error" else logits


def run(c, batch, documents):
    p = Parameters()
    vectors = [record_vector(p, c, batch, b, documents) for b in range(len(RECORDS))]
    width = next(v.shape[0] for v in vectors if v is not None)
    vectors = [torch.zeros(width, dtype=F64) if v is None else v for v in vectors]
    results, loss, sums = {}, torch.zeros((), dtype=F64), []
    for (name, kind, out), count in zip(TASKS, COUNTS):
        total, rows = torch.zeros((), dtype=F64), []
        for b, vector in enumerate(vectors):
            logits = linear(p, "record." + name, vector, out)
            rows.append({"multiclass": lambda: torch.softmax(logits, 0), "regression": lambda: told(c, name, logits)}.get(kind, lambda: torch.sigmoid(logits))())
            if batch[f"label.{name}.valid"][b]:
                total = total + one_loss(c, name, kind, logits, batch[f"label.{name}.value"][b])
        results["probability." + name] = torch.stack(rows).detach()
        sums.append(total.detach())
        if count > 0:
            loss = loss + c["weights"].get(name, 1.0) * total / count
    results["loss"], results["loss_sums"] = loss.detach(), torch.stack(sums)
    loss.backward()
    gradients = {name: torch.zeros_like(v) if v.grad is None else v.grad for name, v in p.values.items()}
    if c["freeze"]:
        gradients = {name: g for name, g in gradients.items() if not name.startswith("encoder.")}
    return results, gradients, p


def signature(name, gradient):
    """Two random projections and the sum of squares: no wrong element passes all."""
    flat = gradient.reshape(-1)
    return torch.stack([numbers("first " + name, flat.numel()) @ flat, numbers("second " + name, flat.numel()) @ flat, flat @ flat])


def compare_with_transformers(documents):
    from transformers import BertConfig, BertModel

    c, p = DEFAULT, Parameters()
    config = BertConfig(vocab_size=VOCABULARY, hidden_size=c["d"], num_hidden_layers=c["text_layers"], num_attention_heads=c["text_heads"],
                        intermediate_size=c["intermediate"], max_position_embeddings=c["positions"], attn_implementation="eager")
    model = BertModel(config, add_pooling_layer=False).to(F64).eval()
    windows = [w for d in documents for w in d["windows"]]
    ours = [bert(p, c, w) for w in windows]
    model.load_state_dict({name.removeprefix("encoder."): v.detach() for name, v in p.values.items()}, strict=True)
    theirs = [model(torch.tensor([w])).last_hidden_state[0] for w in windows]
    weights = [numbers(f"window {i}", x.numel()).reshape(x.shape) for i, x in enumerate(ours)]
    worst = max((a - b).abs().max().item() for a, b in zip(ours, theirs))
    sum((x * w).sum() for x, w in zip(ours, weights)).backward()
    sum((x * w).sum() for x, w in zip(theirs, weights)).backward()
    named = dict(model.named_parameters())
    assert len(named) == len(p.values)
    worst = max([worst] + [(v.grad - named[name.removeprefix("encoder.")].grad).abs().max().item() for name, v in p.values.items()])
    print(f"the encoder here and BertModel: {len(windows)} windows, {len(named)} gradients, largest difference {worst:.1e}")
    assert worst < 1e-10


def store(files, least):
    """Writes {name: tensors}, or with --check compares at least so many values with the files that stand there."""
    compared = 0
    for name, tensors in files.items():
        path = HERE / f"{name}.safetensors"
        if "--check" not in sys.argv:
            save_file({key: value.contiguous() for key, value in tensors.items()}, path)
            continue
        stored = load_file(path)
        assert stored.keys() == tensors.keys(), name
        for key, value in tensors.items():
            assert torch.allclose(stored[key], value, rtol=1e-11, atol=1e-13, equal_nan=True), (name, key)
            compared += value.numel()
    if "--check" in sys.argv:
        print(f"{compared} stored values are what this script computes")
        assert compared > least


def main():
    torch.set_num_threads(1)
    documents, batch = make_notes(), make_batch()
    compare_with_transformers(documents)
    files = {"lm_hhda_inputs": {**batch, **flatten_notes(documents)}, "lm_hhda_default": {}, "lm_hhda_variants": {}}
    for variant, changes in VARIANTS.items():
        results, gradients, _ = run({**DEFAULT, **changes}, batch, documents)
        if variant == "default":
            files["lm_hhda_default"] = {**results, **{"gradient." + name: g for name, g in gradients.items()}}
        files["lm_hhda_variants"].update({f"{variant}/{name}": value for name, value in results.items()})
        files["lm_hhda_variants"].update({f"{variant}/gradient.{name}": signature(name, g) for name, g in gradients.items()})
        print(f"{variant}: loss {results['loss']:.6f}, {len(gradients)} parameters")
    store(files, 1000)


if __name__ == "__main__":
    main()
