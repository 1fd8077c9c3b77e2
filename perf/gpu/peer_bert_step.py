"""Steps of masked language modelling of a BERT-base encoder by PyTorch and transformers, on the tokens that bert_step.cpp makes up.

Usage: peer_bert_step.py PRECISION(fp32|bf16|fp16) SEQUENCES LENGTH LEAVES STEPS eager|compile [LAYERS]
AdamW fused, clipping, autocast and a gradient scaler as PyTorch's documentation has them; scaled-dot-product attention; prints one JSON object.
"""
import contextlib
import json
import sys
import time

import torch
from transformers import BertConfig, BertForMaskedLM

VOCABULARY, SPECIAL, MASK = 30522, 1000, 103


def made_up(sequences, length, leaves, step, leaf):
    place = torch.arange(sequences * length)
    ids = (place * 7919 + (step * leaves + leaf) * 104729).remainder(VOCABULARY - SPECIAL) + SPECIAL
    masked = sequences * length * 15 // 100
    chosen = torch.arange(masked) * (sequences * length) // masked
    labels = ids[chosen]
    ids[chosen] = MASK
    return ids.view(sequences, length).cuda(), chosen.cuda(), labels.cuda()


class MaskedLoss(torch.nn.Module):
    """Decodes the masked tokens alone, as a careful user would; the stock model decodes every token."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, ids, chosen, labels):
        hidden = self.model.bert(input_ids=ids).last_hidden_state
        scores = self.model.cls(hidden.flatten(0, 1).index_select(0, chosen))
        return torch.nn.functional.cross_entropy(scores.float(), labels)


def main():
    precision, sequences, length, leaves, steps, mode = sys.argv[1], *map(int, sys.argv[2:6]), sys.argv[6]
    layers = int(sys.argv[7]) if len(sys.argv) > 7 else 12
    torch.manual_seed(1)
    torch.backends.cuda.matmul.allow_tf32 = False
    model = BertForMaskedLM(BertConfig(vocab_size=VOCABULARY, num_hidden_layers=layers, attn_implementation="sdpa")).cuda().train()
    loss_of = MaskedLoss(model)
    run = torch.compile(loss_of) if mode == "compile" else loss_of
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-5, weight_decay=0.01, fused=True)
    scaler = torch.amp.GradScaler("cuda", enabled=precision == "fp16")
    half = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(precision)
    seconds, losses = [], []
    for step in range(steps):
        torch.cuda.synchronize()
        began = time.perf_counter()
        total = 0.0
        for leaf in range(leaves):
            ids, chosen, labels = made_up(sequences, length, leaves, step, leaf)
            with torch.autocast("cuda", dtype=half) if half else contextlib.nullcontext():
                loss = run(ids, chosen, labels) / leaves
            scaler.scale(loss).backward()
            total += loss.detach()
        scaler.unscale_(optimizer)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad(set_to_none=True)
        losses.append(float(total))
        torch.cuda.synchronize()
        seconds.append(time.perf_counter() - began)
    print(json.dumps({"mode": mode, "precision": precision, "tokens": leaves * sequences * length, "seconds": seconds, "losses": losses, "torch": torch.__version__}))


if __name__ == "__main__":
    main()
