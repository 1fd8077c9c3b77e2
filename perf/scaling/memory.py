"""Memory of a rank's training state on 2 ranks, an encoder of BERT-base's size: weights, gradients and optimizer, ours beside default DDP with AdamW.

    .deps/python-peers/bin/python perf/scaling/memory.py [--pairs 3] [--windows 8] [--tokens 128] [--quick]

State is the growth of the proportional set size (shared pages count by share) from a warm program without the model to the end of a step with leaves of 8
tokens, gradients there. What a step with its own leaves needs beyond that at its peak, activations above all, is told apart. MiB a rank, means over ranks;
ratios are those of pairs. With 2 leaves a rank has one partial sum of gradients, with 8 the tree holds two.
"""

import statistics

import runs


def main():
    given = runs.arguments(__doc__, pairs=3, windows=8, tokens=128)
    model = runs.TINY if given.quick else runs.BERT_BASE
    print(f"{runs.machine()}; {given.windows} windows of {given.tokens} tokens")
    for leaves in (2, 8):
        settings = model | {"windows": given.windows, "tokens": given.tokens, "leaves": leaves}
        found = {"exact": [], "fast": [], "ddp": []}
        for _ in range(given.pairs):
            for way in ("exact", "fast"):
                found[way].append(runs.ours("perf_state_memory", settings | {"way": way}))
            found["ddp"].append(runs.peer("encoder_memory.py", settings))
        mean = lambda ranks, key: statistics.mean(rank[key] for rank in ranks)
        for name, results in found.items():
            parts = ", ".join(f"{key} {statistics.median(mean(ranks, key) for ranks in results):.0f}" for key in ("state", "passing", "program"))
            print(f"{leaves} leaves, {name}, MiB a rank: {parts}")
        for way in ("exact", "fast"):
            print(f"{leaves} leaves, state {way} / ddp {runs.told([mean(a, 'state') / mean(b, 'state') for a, b in zip(found[way], found['ddp'])])}")


if __name__ == "__main__":
    main()
