"""What the engine costs an action, and the bubble of each schedule as it runs beside the formula's, as tables.

    python3 perf/pipeline/tables.py [--rounds 7] [--leaves 512] [--part-ms 5] [--ranks 2 3 4 5 6 7 8] [--elements 8 262144]

Overhead: two ranks, blocks that do nothing; medians over rounds, and the best round, of the slower rank. Bubble: every forward, input gradient and weight
product of every stage sleeps; leaves are four times the ranks; medians over rounds. "with messages": the formula, with messages that take their time too.
"""

import argparse
import json
import pathlib
import statistics
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAMS = ROOT / "build/release/perf"


def lines(ranks, program, *arguments):
    command = [ROOT / "launch/ranks", str(ranks), PROGRAMS / program, *map(str, arguments)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=500)
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def overhead(rounds, leaves):
    print(f"{leaves} leaves on 2 ranks, microseconds an action\n")
    print("| schedule | actions a rank | engine | best round | the same messages by MPI | best round | blocks and autograd alone | best round |\n|---|---|---|---|---|---|---|---|")
    for name, r in lines(2, "perf_action_overhead", rounds, leaves)[0].items():
        figures = " | ".join(f"{statistics.median(r[key]):.1f} | {min(r[key]):.1f}" for key in ("engine", "messages", "blocks"))
        print(f"| {name} | {r['actions']} | {figures} |", flush=True)


def bubble(rounds, part_ms, ranks, elements):
    print(f"\nBubble in % of the ranks' time, parts of {part_ms:g} ms, messages of {4 * elements} bytes\n")
    print("| ranks | schedule | leaves | formula | measured | above the formula | with messages | above, overhead and ends of sleeps counted |\n|---|---|---|---|---|---|---|---|")
    for p in ranks:
        for r in lines(p, "perf_bubble", rounds, 4 * p, part_ms, elements):
            formula, messages = 100 * r["formula"], 100 * r["with_messages"]
            measured, strict = (100 * statistics.median(r[key]) for key in ("measured", "with_overhead"))
            print(f"| {p} | {r['schedule']} | {r['leaves']} | {formula:.2f} | {measured:.2f} | {measured - formula:+.2f} | {messages:.2f} | {strict - formula:+.2f} |", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--leaves", type=int, default=512)
    parser.add_argument("--part-ms", type=float, default=5)
    parser.add_argument("--ranks", type=int, nargs="+", default=[2, 3, 4, 5, 6, 7, 8])
    parser.add_argument("--elements", type=int, nargs="+", default=[8, 262_144])
    arguments = parser.parse_args()
    overhead(arguments.rounds, arguments.leaves)
    for elements in arguments.elements:
        bubble(arguments.rounds, arguments.part_ms, arguments.ranks, elements)


if __name__ == "__main__":
    main()
