"""The `lm_hhda` timeline model as a skilled PyTorch user would write it: stock modules, one autograd graph, no cuts.

The peer of our step in perf: the same sizes, the same inputs, the same losses. Specification: section 1, paragraphs 3 to 13.
"""

import torch
import torch.nn.functional as F
from torch import nn


class DynamicReluSet(nn.Module):
    """One parameter set: D_1, b_1 shared by all, D_2, b_2 by layers of equal width (eq 15-22)."""

    def __init__(self, width):
        super().__init__()
        self.first = nn.Linear(1, 64)
        self.second = nn.Linear(64, width)
        nn.init.zeros_(self.second.weight)
        nn.init.zeros_(self.second.bias)

    def forward(self, x):
        u = torch.tanh(self.first(x.mean(-1, keepdim=True)))
        return torch.relu(x - self.second(u))


class Pooling(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.w = nn.Linear(width, 64)
        self.v = nn.Linear(64, 1, bias=False)

    def forward(self, x, mask):
        scores = self.v(torch.tanh(self.w(x))).squeeze(-1).masked_fill(~mask, float("-inf"))
        return torch.softmax(scores, dim=1)


class PlainModel(nn.Module):
    """groups: channels of each sensor group; tasks: (name, kind, output width)."""

    def __init__(self, settings, groups, statics, tasks, encoder=None):
        super().__init__()
        s = settings
        self.s = s
        self.encoder = encoder
        width, text = s["lstm_width"], (encoder.config.hidden_size if encoder is not None else 0)
        channels = [3 * c for c in groups]
        first = sum(channels) + (text + 1 if encoder is not None else 0) + 2 * statics
        self.lstm = nn.ModuleList([nn.LSTM(first if i == 0 else width, width, batch_first=True) for i in range(s["lstm_layers"])])
        self.fc = nn.ModuleList([nn.Linear(width, width) for _ in range(s["lstm_layers"])])
        self.sets = nn.ModuleList([DynamicReluSet(s["filters"]) for _ in groups])
        self.all = DynamicReluSet(width)
        self.temporal = Pooling(width)
        self.convs = nn.ModuleList(
            [nn.ModuleList([nn.Conv1d(c, s["filters"], q, dilation=r) for q, r in s["pairs"]]) for c in channels]
        )
        fused = width + len(groups) * len(s["pairs"]) * s["filters"] * s["windows"]
        self.q = nn.Linear(fused, s["heads"] * s["head_width"], bias=False)
        self.k = nn.Linear(fused, s["heads"] * s["head_width"], bias=False)
        self.pool = Pooling(fused)
        self.heads = nn.ModuleList([nn.Linear(fused, w) for _, _, w in tasks])
        self.tasks = tasks
        self.dropout = nn.Dropout(s["dropout"])

    def notes(self, batch, rows, hours):
        mask = torch.arange(batch["tokens"].shape[1])[None] < batch["lengths"][:, None]
        hidden = self.encoder(input_ids=batch["tokens"], attention_mask=mask.long()).last_hidden_state
        # Means of means (sentence, paragraph, document): a weight per token, known from the text alone.
        document = torch.einsum("nl,nld->nd", batch["token_weight"], hidden)
        slot = batch["note_record"] * hours + batch["note_hour"]
        total = torch.zeros(rows * hours, document.shape[1]).index_add(0, slot, document)
        count = torch.zeros(rows * hours, 1).index_add(0, slot, torch.ones(len(slot), 1))
        return (total / count.clamp(min=1)).view(rows, hours, -1), (count > 0).float().view(rows, hours, 1)

    def cnn(self, z, convs, dynamic, steps):
        parts = []
        for conv, (q, r) in zip(convs, self.s["pairs"]):
            c = dynamic(conv(z.transpose(1, 2)).transpose(1, 2))
            m = (steps - r * (q - 1)).clamp(min=1)
            position = torch.arange(c.shape[1])
            for w in range(self.s["windows"]):
                low, high = w * m // self.s["windows"], ((w + 1) * m + self.s["windows"] - 1) // self.s["windows"]
                inside = (position[None] >= low[:, None]) & (position[None] < high[:, None])
                parts.append(c.masked_fill(~inside[:, :, None], float("-inf")).amax(1))
        return torch.cat(parts, 1)

    def forward(self, batch):
        rows, hours = batch["z"][0].shape[:2]
        mask = torch.arange(hours)[None] < batch["steps"][:, None]
        inputs = list(batch["z"])
        if self.encoder is not None:
            inputs += list(self.notes(batch, rows, hours))
        inputs.append(batch["static"][:, None].expand(-1, hours, -1))
        x = torch.cat(inputs, -1)
        for lstm, fc in zip(self.lstm, self.fc):
            o = lstm(x)[0]
            x = self.dropout(self.all(o + torch.relu(fc(o))))
        h = x + (self.temporal(x, mask)[:, :, None] * x).sum(1, keepdim=True)
        p = torch.cat([self.cnn(z, convs, dynamic, batch["steps"]) for z, convs, dynamic in zip(batch["z"], self.convs, self.sets)], 1)
        f = torch.cat([h, p[:, None].expand(-1, hours, -1)], -1)

        def split(y):
            return y.view(rows, hours, self.s["heads"], self.s["head_width"]).transpose(1, 2)

        scores = split(self.q(f)) @ split(self.k(f)).transpose(-1, -2) / self.s["head_width"] ** 0.5
        weights = torch.softmax(scores.masked_fill(~mask[:, None, None], float("-inf")), -1)
        gate = (weights * mask[:, None, :, None]).sum(2).mean(1)
        f = gate[:, :, None] * f
        pooled = self.dropout((self.pool(f, mask)[:, :, None] * f).sum(1))
        return [head(pooled) for head in self.heads]

    def loss(self, outputs, batch):
        total = outputs[0].sum() * 0
        for (_, kind, _), y, (value, valid) in zip(self.tasks, outputs, batch["labels"]):
            if not bool(valid.any()):
                continue
            y, value = y[valid], value[valid]
            if kind == "multiclass":
                total = total + F.cross_entropy(y, value[:, 0].long())
            elif kind == "regression":
                total = total + F.mse_loss(y, value)
            else:
                total = total + F.binary_cross_entropy_with_logits(y, value)
        return total
