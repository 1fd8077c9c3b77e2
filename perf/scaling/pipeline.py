"""A pipeline step on 2 ranks against torch.distributed.pipelining over gloo: the same encoder cut in the middle, the same leaves, dropout, clipping and AdamW.

    .deps/python-peers/bin/python perf/scaling/pipeline.py [--pairs 4] [--rounds 4] [--windows 32] [--tokens 128] [--leaves 8] [--quick]

A pair is one run of ours and one of the peer, one after the other; within a run the schedules take turns. A ratio is that of a pair's medians, peer / ours.
"""

import statistics

import runs


def main():
    given = runs.arguments(__doc__, pairs=4, rounds=4, windows=32, tokens=128, leaves=8)
    model = runs.TINY if given.quick else runs.MINILM
    settings = model | {"windows": given.windows, "tokens": given.tokens, "leaves": given.leaves, "rounds": given.rounds, "first_layers": model["layers"] // 2}
    print(f"{runs.machine()}; {given.windows} windows of {given.tokens} tokens in {given.leaves} leaves, {model['layers'] // 2} layers a stage")
    found = {}
    for _ in range(given.pairs):
        own = runs.ours("perf_scaling_step", settings | {"ways": ["gpipe", "1f1b", "zb_h1"]})
        other = runs.peer("encoder_pipeline.py", settings | {"ways": ["gpipe", "1f1b"]})
        runs.check_equal(own, other)
        for name, result in (("tributary", own), ("peer", other)):
            for way, ranks in result["ways"].items():
                found.setdefault((name, way), []).append(statistics.median(runs.slowest(ranks)))
    for (name, way), seconds in found.items():
        print(f"{name} {way}: step {runs.told(seconds)} s")
    for way in ("gpipe", "1f1b"):
        print(f"{way}: peer / ours {runs.told(runs.ratios(found['peer', way], found['tributary', way]))}")
    print(f"best of the peer / zb_h1: {runs.told([min(g, o) / z for g, o, z in zip(found['peer', 'gpipe'], found['peer', '1f1b'], found['tributary', 'zb_h1'])])}")


if __name__ == "__main__":
    main()
