"""`train --trace`: one file of all ranks of a 2 x 2 grid that holds the steps asked for alone, the schedule's order on every rank, messages and sums that fit
the computations around them; runs that end, resume or ask too late say or leave what they should; bad arguments are refused."""

import collections
import json
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "fault"))

from runs import BINARY, Run, make_shards  # noqa: E402

LEAVES = [3, 4]  # of the 7 of a step, by pipeline

# Every layer is a bucket of its own: just above the 2^20 elements at which one ends.
WIDE = ["parallel.pipeline=2", "parallel.schedule=1f1b", "train.steps=3", "train.evaluate_every=3", "model.family=text_mlm", "text.layers=6"]
WIDE += ["text.width=256", "text.heads=4", "text.intermediate=1536", "parallel.partition=[4, 5]", "train.global_batch=7", "train.micro_batch=1"]


class Traced(Run):
    def trace(self, ranks: int, steps: str, *settings: str) -> int:
        command = ["mpirun", "-n", str(ranks), "--oversubscribe", "--bind-to", "none", BINARY, "train", str(self.config), "--trace", steps]
        for setting in settings:
            command += ["--set", setting]
        with open(self.folder.parent / f"{self.folder.name}.log", "a") as log:
            return subprocess.run(command, stdout=log, stderr=log, timeout=240).returncode

    def events(self) -> list[dict]:
        assert not list(self.folder.glob("trace.json.*")), "a temporary file is left"
        return json.loads((self.folder / "trace.json").read_text())["traceEvents"]


def spans(events: list[dict], category: str, **arguments: int) -> list[dict]:
    """In order of their begins."""
    found = [e for e in events if e["ph"] == "X" and e["cat"] == category and all(e["args"].get(k) == v for k, v in arguments.items())]
    return sorted(found, key=lambda e: e["ts"])


def end(span: dict) -> float:
    return round(span["ts"] + span["dur"], 3)  # nanoseconds


def one_f_one_b(stage: int, leaves: int, warm_up: int) -> list[tuple]:
    order = [("forward", leaf) for leaf in range(warm_up)]
    for leaf in range(leaves):
        order += [("forward", leaf + warm_up)] if leaf + warm_up < leaves else []
        order.append(("backward", leaf))
    return [(name, stage, leaf) for name, leaf in order]


def zero_bubble_parts(stage: int, leaves: int) -> collections.Counter:
    names = ("forward", "input-gradient", "weight-gradient")
    return collections.Counter((name, stage, leaf) for name in names for leaf in range(leaves))


def of_rank(events: list[dict], rank: int) -> list[dict]:
    return [e for e in events if e.get("pid") == rank]


def places(events: list[dict]) -> dict[int, tuple[int, int]]:
    """(data, stage) of each rank, from its name."""
    found = {}
    for e in events:
        if e["ph"] == "M" and e["name"] == "process_name":
            words = e["args"]["name"].replace("(", "").replace(")", "").replace(",", "").split()
            assert words[0] == "rank" and int(words[1]) == e["pid"] and words[2] == "data" and words[4] == "stage", e
            found[e["pid"]] = (int(words[3]), int(words[5]))
    return found


def done(events: list[dict], rank: int, step: int) -> list[tuple]:
    return [(s["name"], s["args"]["stage"], s["args"]["leaf"]) for s in spans(of_rank(events, rank), "compute", step=step)]


def expect_schedule(events: list[dict], step: int) -> None:
    for rank, (data, stage) in places(events).items():
        assert done(events, rank, step) == one_f_one_b(stage, LEAVES[data], warm_up=1 - stage), f"rank {rank}: {done(events, rank, step)}"
        compute = spans(of_rank(events, rank), "compute", step=step)
        assert all(end(a) <= b["ts"] for a, b in zip(compute, compute[1:])), f"rank {rank} computes two things at once"
        for leaf in range(LEAVES[data]):
            forward, backward = (s for s in compute if s["args"]["leaf"] == leaf)
            assert end(forward) <= backward["ts"], (forward, backward)


def expect_messages(events: list[dict], step: int) -> None:
    compared = 0
    by_place = {place: rank for rank, place in places(events).items()}
    for data, leaves in enumerate(LEAVES):
        first, last = of_rank(events, by_place[data, 0]), of_rank(events, by_place[data, 1])
        for leaf in range(leaves):
            where = {"step": step, "leaf": leaf}
            forward, sent = spans(first, "compute", **where)[0], spans(first, "send", **where)
            received = spans(last, "receive", **where)
            assert len(sent) == len(received) == 1, (sent, received)
            assert end(received[0]) >= end(forward) and sent[0]["ts"] >= end(forward), (forward, sent, received)
            assert spans(last, "compute", **where)[0]["ts"] >= end(received[0])
            back, taken = spans(last, "send", **where), spans(first, "receive", **where)
            assert len(back) == len(taken) == 1 and end(taken[0]) >= back[0]["ts"] and spans(first, "compute", **where)[1]["ts"] >= end(taken[0])
            compared += 1
    assert compared == sum(LEAVES)
    steps = [e["name"] for e in events if e["ph"] == "s"]
    assert len(steps) == len([e for e in events if e["ph"] == "f"]) == 2 * 2 * sum(LEAVES), "an arrow for each message of two steps"


def computed_together(events: list[dict], step: int, data: int) -> float:
    """Time for which the two ranks of a copy of the model computed at once: what a pipeline is for. Two copies do without one."""
    first, last = (spans(of_rank(events, rank), "compute", step=step) for rank, place in places(events).items() if place[0] == data)
    return sum(max(0.0, min(end(a), end(b)) - max(a["ts"], b["ts"])) for a in first for b in last)


def expect_order_of_reduction(events: list[dict], step: int) -> None:
    for rank in range(4):
        own = of_rank(events, rank)
        reduce, compute = spans(own, "reduce", step=step), spans(own, "compute", step=step)
        assert {"finish sums", "norm"} <= {s["name"] for s in reduce} <= {"sum buckets", "finish sums", "norm"}, reduce
        assert end(spans(own, "input", step=step)[0]) <= compute[0]["ts"]
        assert spans(own, "update", step=step)[0]["ts"] >= end(reduce[-1])
        assert {s["name"] for s in spans(own, "communication", step=step)} == {"sum of label counts", "sum of losses"}


def sums_in_last_backward(events: list[dict], rank: int, step: int) -> int:
    own = of_rank(events, rank)
    last = [s for s in spans(own, "compute", step=step) if s["name"] == "backward"][-1]
    sums = [s for s in spans(own, "reduce", step=step) if s["name"] == "sum buckets"]
    assert all(last["ts"] <= s["ts"] and end(s) <= end(last) for s in sums), f"rank {rank}: {sums} outside of {last}"
    return len(sums)


def expect_overlap(events: list[dict], step: int) -> None:
    """Of sums over ranks with backward, in a model whose stages have three buckets or more. A rank sums at the end of a block what all ranks of the stage have
    ready: of two ranks, however their blocks fall, one finds something twice, so the first time another block of its backward was still to come."""
    for stage in (0, 1):
        found = [sums_in_last_backward(events, rank, step) for rank, place in places(events).items() if place[1] == stage]
        assert len(found) == 2 and max(found) >= 2, f"stage {stage} sums {found} times beside backward"


def expect_steps(events: list[dict], wanted: set[int]) -> None:
    for rank in sorted(places(events)):
        own = [e for e in of_rank(events, rank) if e["ph"] == "X"]
        assert {e["args"]["step"] for e in own} == wanted and len([e for e in own if e["name"] == "step"]) == len(wanted), f"rank {rank}"


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        shards = make_shards(folder, 500)
        grid = ["parallel.pipeline=2", "parallel.schedule=1f1b", "train.steps=6", "train.evaluate_every=2"]
        run = Traced(folder, "run", shards)
        assert run.trace(4, "steps=2:3", *grid) == 0, run.log()
        events = run.events()
        assert sorted(places(events).values()) == [(0, 0), (0, 1), (1, 0), (1, 1)], places(events)
        expect_steps(events, {2, 3})  # and none of the validation after step 2
        for step in (2, 3):
            expect_schedule(events, step)
            expect_messages(events, step)
            expect_order_of_reduction(events, step)
        for data in (0, 1):
            assert sum(computed_together(events, step, data) for step in (2, 3)) > 0, f"the ranks of copy {data} never computed at once"

        wide = Traced(folder, "wide", shards)
        assert wide.trace(4, "steps=2:3", *WIDE) == 0, wide.log()
        for step in (2, 3):
            expect_overlap(wide.events(), step)

        cut = Traced(folder, "cut", shards)
        zero = ["parallel.pipeline=2", "parallel.schedule=zb_h1", "train.steps=2", "train.evaluate_every=2"]
        assert cut.trace(4, "steps=1:9", *zero, "run.max_time=0s") == 75, cut.log()
        events = cut.events()
        expect_steps(events, {1})  # preempted after it
        for rank, (data, stage) in places(events).items():
            assert collections.Counter(done(events, rank, 1)) == zero_bubble_parts(stage, LEAVES[data]), f"rank {rank}"
        assert "the run ends after step 2, later steps are not traced" in cut.log(), cut.log()
        before = (cut.folder / "trace.json").read_bytes()
        assert cut.trace(1, "steps=1:1", "train.steps=2", "train.evaluate_every=2") == 0, cut.log()
        assert "the run goes on after step 1, nothing is traced" in cut.log(), cut.log()
        assert (cut.folder / "trace.json").read_bytes() == before

        for bad in ("steps=12:10", "steps=x"):
            wrong = Traced(folder, "wrong", shards)
            assert wrong.trace(2, bad) == 64, wrong.log()
            assert f'found "{bad}"' in wrong.log() and "steps=FIRST:LAST" in wrong.log() and not wrong.folder.exists(), wrong.log()


if __name__ == "__main__":
    sys.exit(main())
