"""What exact reduction costs over fast on 2 ranks, with 8 and with 7 leaves a step: steps of both take turns in one run.

    .deps/python-peers/bin/python perf/scaling/reduction.py [--pairs 2] [--rounds 12] [--rows 4] [--tokens 128] [--quick]

A pair is one run with 8 leaves and one with 7; ratios are those of neighbouring steps.
"""

import statistics

import runs


def main():
    given = runs.arguments(__doc__, pairs=2, rounds=12, rows=4, tokens=128)
    print(f"{runs.machine()}; leaves of {given.rows} windows of {given.tokens} tokens")
    found = {8: ([], []), 7: ([], [])}
    for _ in range(given.pairs):
        for leaves, (exact, fast) in found.items():
            settings = {"windows": leaves * given.rows, "tokens": given.tokens, "leaves": leaves, "rounds": given.rounds, "ways": ["exact", "fast"]}
            ways = runs.ours("perf_scaling_step", (runs.TINY if given.quick else runs.MINILM) | settings)["ways"]
            exact += runs.slowest(ways["exact"])
            fast += runs.slowest(ways["fast"])
    for leaves, (exact, fast) in found.items():
        print(f"{leaves} leaves: exact {statistics.median(exact):.3f} s, fast {statistics.median(fast):.3f} s, ratio {runs.told(runs.ratios(exact, fast))}")


if __name__ == "__main__":
    main()
