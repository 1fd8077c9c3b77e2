"""Exposed communication of a data-parallel step on 2 ranks: what the step takes beyond the same step without any message. Ours beside DDP over gloo.

    .deps/python-peers/bin/python perf/scaling/exposed.py [--pairs 4] [--rounds 8] [--windows 32] [--tokens 128] [--leaves 4] [--quick]

A pair is one run of ours and one of the peer. Within a run steps with and without messages take turns, and each is compared with its neighbour: ours with a
step in which each rank adds up its own leaves and updates its own share, the peer's with one under no_sync. Times are those of the slower rank: waiting for the
other counts as communication. Where cores are not alike that is most of it; therefore ours is told again without it, as what the rank that has computed last
still spends on sums and update, beyond the same in a step without messages.
"""

import statistics

import runs
from runs import slowest


def exposed(way, local):
    return [1 - b / a for a, b in zip(slowest(way), slowest(local))]


def after_the_last(way, local):
    """[rounds] the share of a step that the rank without anybody to wait for spends behind its computing, beyond the same without messages."""
    tails = [[[a + b for a, b in zip(rank["reduce"], rank["update"])] for rank in ranks] for ranks in (way, local)]
    with_messages, alone = ([list(values) for values in zip(*ranks)] for ranks in tails)
    last = [values.index(min(values)) for values in with_messages]
    return [(a[rank] - b[rank]) / total for rank, a, b, total in zip(last, with_messages, alone, slowest(way))]


def main():
    given = runs.arguments(__doc__, pairs=4, rounds=8, windows=32, tokens=128, leaves=4)
    settings = (runs.TINY if given.quick else runs.MINILM) | {"windows": given.windows, "tokens": given.tokens, "leaves": given.leaves, "rounds": given.rounds}
    print(f"{runs.machine()}; {given.windows} windows of {given.tokens} tokens in {given.leaves} leaves")
    behind = []
    shares, steps, phases = {"tributary": [], "ddp": []}, {"tributary": [], "ddp": []}, {"start": [], "compute": [], "reduce": [], "update": []}
    for _ in range(given.pairs):
        own = runs.ours("perf_scaling_step", settings | {"ways": ["exact", "local"]})
        other = runs.peer("encoder_ddp.py", settings | {"ways": ["ddp", "no_sync"]})
        runs.check_equal(own, other)
        shares["tributary"] += exposed(own["ways"]["exact"], own["ways"]["local"])
        behind += after_the_last(own["ways"]["exact"], own["ways"]["local"])
        shares["ddp"] += exposed(other["ways"]["ddp"], other["ways"]["no_sync"])
        steps["tributary"] += slowest(own["ways"]["exact"])
        steps["ddp"] += slowest(other["ways"]["ddp"])
        for phase, found in phases.items():
            found += [a - b for exact, local in zip(own["ways"]["exact"], own["ways"]["local"]) for a, b in zip(exact[phase], local[phase])]
    for name in shares:
        print(f"{name}: step {runs.told(steps[name])} s, exposed share {runs.told(shares[name], 4)}")
    print(f"tributary: share behind the last rank's computing {runs.told(behind, 4)}")
    print("where ours spends it, medians over ranks and rounds, ms: " + ", ".join(f"{phase} {1e3 * statistics.median(found):.1f}" for phase, found in phases.items()))


if __name__ == "__main__":
    main()
