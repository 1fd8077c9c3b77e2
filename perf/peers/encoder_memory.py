"""The peer of perf_state_memory: default DistributedDataParallel over gloo with AdamW. Started once a rank with RANK, WORLD_SIZE, MASTER_ADDR, MASTER_PORT;
argument: JSON as that of perf_state_memory. Gradients are there when the state is measured, as they are in every step.
"""

import contextlib
import ctypes
import gc
import json
import pathlib
import sys

import torch
import torch.distributed as dist

import encoder


def proportional_mib():
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    dist.barrier()  # shared pages count by how many have them
    found = encoder.mib_of("/proc/self/smaps_rollup", "Pss:")
    dist.barrier()
    return found


def make(given):
    model = torch.nn.parallel.DistributedDataParallel(encoder.Stage(given, 0, given["layers"]).train())
    return model, encoder.adamw(model)


def step(model, optimizer, own):
    optimizer.zero_grad(set_to_none=True)
    for number, (tokens, labels) in enumerate(own):
        with contextlib.nullcontext() if number + 1 == len(own) else model.no_sync():
            torch.nn.functional.cross_entropy(model(tokens), labels).backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()


def main(given):
    encoder.start()
    few = {**given, "windows": given["leaves"], "tokens": 8}
    tiny = {**few, "layers": 2, "width": 64, "heads": 2, "intermediate": 256, "vocabulary": 1000}
    for _ in range(2):
        step(*make(tiny), encoder.own_leaves(tiny))
    program = proportional_mib()
    model, optimizer = make(given)
    step(model, optimizer, encoder.own_leaves(few))
    state = proportional_mib() - program
    resident = encoder.mib_of("/proc/self/status", "VmRSS:")
    pathlib.Path("/proc/self/clear_refs").write_text("5")  # the peak of the resident set from here on is measured anew
    step(model, optimizer, encoder.own_leaves(given))
    passing = encoder.mib_of("/proc/self/status", "VmHWM:") - resident
    gathered = [None] * dist.get_world_size()
    dist.all_gather_object(gathered, {"program": program, "state": state, "passing": passing})
    encoder.finish(gathered)


main(json.loads(sys.argv[1]))
