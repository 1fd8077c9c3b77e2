"""The pipeline peer of perf_scaling_step: torch.distributed.pipelining over gloo, two stages. Started once a rank with RANK, WORLD_SIZE, MASTER_ADDR, MASTER_PORT;
argument: JSON as that of perf_scaling_step, whose ways are gpipe and 1f1b. The gradient is clipped by its norm over both stages.
"""

import json
import sys

import torch
import torch.distributed as dist
from torch.distributed.pipelining import PipelineStage, Schedule1F1B, ScheduleGPipe

import encoder

SCHEDULES = {"gpipe": ScheduleGPipe, "1f1b": Schedule1F1B}


def clip(parameters):
    norm = torch.nn.utils.get_total_norm([p.grad for p in parameters])
    squares = norm.square()
    dist.all_reduce(squares)
    torch.nn.utils.clip_grads_with_norm_(parameters, 1.0, squares.sqrt())


def make_step(way, given, model, optimizer):
    rank, ranks = dist.get_rank(), dist.get_world_size()
    every = encoder.leaves(given)
    tokens, labels = torch.cat([t for t, _ in every]), torch.cat([l for _, l in every])
    stage = PipelineStage(model, rank, ranks, torch.device("cpu"))
    schedule = SCHEDULES[way](stage, n_microbatches=given["leaves"], loss_fn=torch.nn.functional.cross_entropy)  # means over a leaf, divided by the leaves
    parameters = list(model.parameters())

    def step():
        losses = []
        if rank == 0:
            schedule.step(tokens)
        else:
            schedule.step(target=labels, losses=losses)
        clip(parameters)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return sum(loss.item() for loss in losses) / given["leaves"]

    return step


def main(given):
    encoder.start()
    rank, cut = dist.get_rank(), given["first_layers"]
    assert dist.get_world_size() == 2
    model = encoder.Stage(given, *((0, cut) if rank == 0 else (cut, given["layers"]))).train()
    optimizer = encoder.adamw(model)
    parameters = torch.tensor(encoder.count(model))
    dist.all_reduce(parameters)
    steps = {way: make_step(way, given, model, optimizer) for way in given["ways"]}
    encoder.finish({"parameters": parameters.item(), "ways": encoder.time_rounds(given, steps)})


main(json.loads(sys.argv[1]))
