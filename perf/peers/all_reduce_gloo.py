"""Times torch.distributed.all_reduce (gloo). Started once a rank with RANK, WORLD_SIZE, MASTER_ADDR, MASTER_PORT; arguments: ROUNDS ELEMENTS..."""

import json
import sys
import time

import torch
import torch.distributed as dist


def main():
    torch.set_num_threads(1)
    dist.init_process_group("gloo")
    rounds, result = int(sys.argv[1]), {}
    for elements in map(int, sys.argv[2:]):
        values, seconds = torch.empty(elements), []
        for round in range(rounds + 3):
            values.fill_(1)
            dist.barrier()
            begin = time.perf_counter()
            dist.all_reduce(values)
            slowest = torch.tensor([time.perf_counter() - begin], dtype=torch.float64)
            dist.all_reduce(slowest, dist.ReduceOp.MAX)
            assert values[0] == dist.get_world_size()
            if round >= 3:
                seconds.append(slowest.item())
        result[str(elements)] = seconds
    if dist.get_rank() == 0:
        print(json.dumps(result))
    dist.destroy_process_group()


main()
