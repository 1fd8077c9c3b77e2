"""The data-parallel peer of perf_scaling_step: DistributedDataParallel over gloo. Started once a rank with RANK, WORLD_SIZE, MASTER_ADDR, MASTER_PORT; argument:
JSON as that of perf_scaling_step, whose ways are

ddp: sums gradients while the last leaf's backward goes on; no_sync: the same without sums, each rank by itself.
"""

import contextlib
import json
import sys

import torch
import torch.distributed as dist

import encoder


def main(given):
    encoder.start()
    model = torch.nn.parallel.DistributedDataParallel(encoder.Stage(given, 0, given["layers"]).train())
    optimizer = encoder.adamw(model)
    own, ranks = encoder.own_leaves(given), dist.get_world_size()

    def step(sums):
        total = 0.0
        for number, (tokens, labels) in enumerate(own):
            last = number + 1 == len(own)
            with contextlib.nullcontext() if sums and last else model.no_sync():
                loss = torch.nn.functional.cross_entropy(model(tokens), labels, reduction="sum") / given["windows"]
                (loss * ranks).backward()  # DDP divides by the number of ranks
            total += loss.item()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return total

    all_ways = {"ddp": lambda: step(True), "no_sync": lambda: step(False)}
    encoder.finish({"parameters": encoder.count(model), "ways": encoder.time_rounds(given, {way: all_ways[way] for way in given["ways"]})})


main(json.loads(sys.argv[1]))
