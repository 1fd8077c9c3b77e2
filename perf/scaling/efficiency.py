"""Data-parallel efficiency on 2 ranks: a step together against two copies that run at once on the same cores and never talk. Ours beside DDP over gloo.

    .deps/python-peers/bin/python perf/scaling/efficiency.py [--pairs 4] [--rounds 8] [--windows 32] [--tokens 128] [--leaves 4] [--quick]

A copy takes the leaves of one rank and updates all parameters; the copies of a round start together. Efficiency of a round: leaves a second of the step together
(its slower rank counts) over the sum of both copies' leaves a second. Rounds of the two kinds take turns in one run; a pair is one run of ours and one of DDP.
"""

import runs


def efficiency(together, alone):
    return [(2 / step) / sum(1 / rank for rank in copies) for step, copies in zip(runs.slowest(together), zip(*(rank["total"] for rank in alone)))]


def main():
    given = runs.arguments(__doc__, pairs=4, rounds=8, windows=32, tokens=128, leaves=4)
    settings = (runs.TINY if given.quick else runs.MINILM) | {"windows": given.windows, "tokens": given.tokens, "leaves": given.leaves, "rounds": given.rounds}
    print(f"{runs.machine()}; {given.windows} windows of {given.tokens} tokens in {given.leaves} leaves")
    found = {"tributary": [], "ddp": []}
    for _ in range(given.pairs):
        own = runs.ours("perf_scaling_step", settings | {"ways": ["exact", "alone"]})
        other = runs.peer("encoder_ddp.py", settings | {"ways": ["ddp", "no_sync"]})
        runs.check_equal(own, other)
        found["tributary"] += efficiency(own["ways"]["exact"], own["ways"]["alone"])
        found["ddp"] += efficiency(other["ways"]["ddp"], other["ways"]["no_sync"])
    for name, values in found.items():
        print(f"{name}: efficiency {runs.told(values)}")


if __name__ == "__main__":
    main()
