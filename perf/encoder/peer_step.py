"""The peer of perf_encoder_step: transformers' BertModel with the same head under DistributedDataParallel over gloo, one rank of RANK / WORLD_SIZE.

Usage: peer_step.py FOLDER RECORDS BATCH padded|bucketed. Each rank takes its half of a step's records in two micro-batches, each padded to its own longest;
`bucketed` sorts the step's records by length first, so that neighbours are about equally long.
"""

import contextlib
import json
import os
import sys
import time

import safetensors.torch
import torch
import torch.distributed as dist
import transformers

CLASSES, MICRO_BATCHES = 40, 2


class Classifier(torch.nn.Module):
    def __init__(self, folder):
        super().__init__()
        self.bert = transformers.BertModel.from_pretrained(folder, add_pooling_layer=False)
        self.head = torch.nn.Linear(self.bert.config.hidden_size, CLASSES)

    def forward(self, ids, mask):
        hidden = self.bert(input_ids=ids, attention_mask=mask).last_hidden_state
        weights = mask.unsqueeze(2).to(hidden.dtype)
        return self.head((hidden * weights).sum(1) / weights.sum(1))


def main(folder, records, batch, order):
    torch.set_num_threads(1)
    torch.manual_seed(1)
    dist.init_process_group("gloo")
    rank, ranks = dist.get_rank(), dist.get_world_size()
    model = torch.nn.parallel.DistributedDataParallel(Classifier(folder).train())
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-5, weight_decay=0.01, fused=True)
    given = safetensors.torch.load_file(records)
    ids, offsets, labels = given["ids"], given["offsets"].tolist(), given["labels"]
    seconds, real, computed = [], 0, 0
    for step in range(len(labels) // batch):
        dist.barrier()
        start = time.perf_counter()
        rows = list(range(step * batch, (step + 1) * batch))
        if order == "bucketed":
            rows.sort(key=lambda row: offsets[row + 1] - offsets[row])
        parts = [rows[i * len(rows) // (ranks * MICRO_BATCHES) : (i + 1) * len(rows) // (ranks * MICRO_BATCHES)] for i in range(ranks * MICRO_BATCHES)]
        for number in range(MICRO_BATCHES):
            part = parts[number * ranks + rank]  # ranks take neighbours of the sorted order in turn
            lengths = [offsets[row + 1] - offsets[row] for row in part]
            padded = torch.zeros(len(part), max(lengths), dtype=torch.int64)
            for place, row in enumerate(part):
                padded[place, : lengths[place]] = ids[offsets[row] : offsets[row + 1]]
            mask = (torch.arange(max(lengths))[None, :] < torch.tensor(lengths)[:, None]).long()
            real, computed = real + sum(lengths), computed + padded.numel()
            last = number + 1 == MICRO_BATCHES
            with contextlib.nullcontext() if last else model.no_sync():
                loss = torch.nn.functional.cross_entropy(model(padded, mask), labels[part], reduction="sum") * ranks / batch
                loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        dist.barrier()
        seconds.append(time.perf_counter() - start)
    if rank == 0:
        print(json.dumps({"seconds": seconds, "real_tokens": real, "computed_tokens": computed}))
    dist.destroy_process_group()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4])
