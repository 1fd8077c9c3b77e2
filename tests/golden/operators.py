"""Golden values of every layer and loss: plain PyTorch in double, inputs drawn here, forward and all gradients.

Writes operators.safetensors beside itself; run it again only when a layer's definition changes. For a case NAME the file holds NAME/in/<input>,
NAME/out, and NAME/grad/<input> of sum(out * NAME/up).
"""

import json
import pathlib
import struct

import torch
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)
torch.set_num_threads(1)
generator = torch.Generator().manual_seed(20240611)
tensors = {}


def draw(*shape, scale=1.0):
    return torch.randn(list(shape), generator=generator) * scale


def record(name, function, inputs, constants=None):
    leaves = {key: value.clone().requires_grad_(True) for key, value in inputs.items()}
    out = function(**leaves, **(constants or {}))
    up = draw(*out.shape)
    gradients = torch.autograd.grad((out * up).sum(), list(leaves.values()))
    for key, value in {**inputs, **(constants or {})}.items():
        tensors[f"{name}/in/{key}"] = value
    tensors[f"{name}/out"], tensors[f"{name}/up"] = out.detach(), up
    for key, gradient in zip(leaves, gradients):
        tensors[f"{name}/grad/{key}"] = gradient


def lstm(x, weight_ih, weight_hh, bias_ih, bias_hh):
    """Step by step, from the equations."""
    width = weight_hh.shape[1]
    h = c = torch.zeros(x.shape[0], width)
    outputs = []
    for t in range(x.shape[1]):
        i, f, g, o = (x[:, t] @ weight_ih.T + bias_ih + h @ weight_hh.T + bias_hh).split(width, dim=1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(c)
        outputs.append(h)
    return torch.stack(outputs, dim=1)


def conv1d(x, weight, bias, dilation, left, right):
    """Tap by tap, from the definition."""
    taps, positions = weight.shape[2], x.shape[1] + left + right - dilation * (weight.shape[2] - 1)
    padded = F.pad(x, (0, 0, left, right))
    return bias + sum(padded[:, k * dilation : k * dilation + positions] @ weight[:, :, k].T for k in range(taps))


def dynamic_relu(x, d1, b1, d2, b2):
    u = torch.tanh(x.mean(-1, keepdim=True) @ d1.T + b1)
    return torch.clamp(x - (u @ d2.T + b2), min=0)


def pooling(x, w, b, v, mask):
    rows = []
    for record_x, record_mask in zip(x, mask):
        scores = torch.tanh(record_x @ w.T + b) @ v[0]
        beta = torch.zeros(len(scores))
        beta[record_mask] = torch.softmax(scores[record_mask], 0)
        rows.append(beta)
    return torch.stack(rows)


def masked_softmax(scores, mask):
    e = torch.where(mask, torch.exp(scores), 0.0)
    total = e.sum(-1, keepdim=True)
    return e / torch.where(total > 0, total, 1.0)


def binary_p(logits, value):
    p = torch.sigmoid(logits)
    return torch.where(value > 0.5, p, 1 - p)


def class_p(logits, value):
    return torch.softmax(logits, 1)[torch.arange(len(logits)), value[:, 0].long()].unsqueeze(1)


record("linear", lambda x, weight, bias: x @ weight.T + bias, {"x": draw(2, 3, 5), "weight": draw(4, 5), "bias": draw(4)})
for number, (dilation, left, right, taps) in enumerate([(1, 1, 1, 3), (2, 0, 0, 4), (4, 0, 16, 5)]):
    record(f"conv1d{number}", lambda x, weight, bias: conv1d(x, weight, bias, dilation, left, right),
           {"x": draw(2, 9, 3), "weight": draw(4, 3, taps), "bias": draw(4)})
record("lstm", lstm, {"x": draw(3, 6, 4), "weight_ih": draw(40, 4, scale=0.5), "weight_hh": draw(40, 10, scale=0.5), "bias_ih": draw(40), "bias_hh": draw(40)})
record("dynamic_relu", dynamic_relu,
       {"x": draw(2, 4, 6), "d1": draw(64, 1), "b1": draw(64), "d2": draw(6, 64, scale=0.2), "b2": draw(6, scale=0.2)})
record("pooling", pooling, {"x": draw(3, 5, 4), "w": draw(64, 4), "b": draw(64), "v": draw(1, 64, scale=0.3)},
       {"mask": torch.arange(5).unsqueeze(0) < torch.tensor([[5], [2], [0]])})
record("masked_softmax", masked_softmax, {"scores": draw(3, 4, 5, scale=3)}, {"mask": torch.arange(5) < torch.tensor([[[5]], [[3]], [[0]]])})

valid = torch.tensor([True, True, False, True, True, False])
binary = torch.tensor([1.0, 0, 1, 0, 1, 0]).unsqueeze(1)
classes = torch.tensor([2.0, 0, 1, 3, 1, 0]).unsqueeze(1)
many = (draw(6, 4) > 0).double()
losses = {
    "binary_cross_entropy": (1, binary, lambda z, y: F.binary_cross_entropy_with_logits(z, y, pos_weight=torch.tensor(2.5), reduction="none")),
    "binary_generalised": (1, binary, lambda z, y: (1 - binary_p(z, y) ** 0.7) / 0.7),
    "binary_focal": (1, binary, lambda z, y: torch.where(y > 0.5, 0.75, 0.25) * (1 - binary_p(z, y)) ** 2 * -torch.log(binary_p(z, y))),
    "multiclass_cross_entropy": (4, classes, lambda z, y: F.cross_entropy(z, y[:, 0].long(), reduction="none").unsqueeze(1)),
    "multiclass_generalised": (4, classes, lambda z, y: (1 - class_p(z, y) ** 0.7) / 0.7),
    "multiclass_focal": (4, classes, lambda z, y: torch.tensor([0.5, 1.0, 2.0, 0.25])[y.long()] * (1 - class_p(z, y)) ** 2 * -torch.log(class_p(z, y))),
    "multilabel_cross_entropy": (4, many, lambda z, y: F.binary_cross_entropy_with_logits(z, y, pos_weight=torch.tensor(2.5), reduction="none")),
    "regression_squared_error": (1, draw(6, 1, scale=2), lambda z, y: (z - y) ** 2),
}
for name, (outputs, value, cells) in losses.items():
    record(f"loss_{name}", lambda logits, value, valid: cells(logits, value)[valid].sum(), {"logits": draw(6, outputs, scale=2)}, {"value": value, "valid": valid})

types = {torch.float64: "F64", torch.bool: "BOOL"}
header, blobs, offset = {}, [], 0
for key, value in sorted(tensors.items()):
    blob = value.contiguous().numpy().tobytes()
    header[key] = {"dtype": types[value.dtype], "shape": list(value.shape), "data_offsets": [offset, offset + len(blob)]}
    blobs.append(blob)
    offset += len(blob)
text = json.dumps(header, separators=(",", ":")).encode()
text += b" " * (-len(text) % 8)
path = pathlib.Path(__file__).with_suffix(".safetensors")
path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(blobs))
print(f"{path.name}: {len(tensors)} tensors, {path.stat().st_size} bytes")
