"""lm_hhda in tokens mode on a data set with concepts: training with a relation head and a record head gives equal bits on 1 to 4 ranks; the predictions are of
every candidate pair, under the names of its concepts; metrics.json follows from predictions.csv and the threshold from the validation."""

import csv
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import h5py

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parents[1] / folder) for folder in ("fault", "metrics")]
from recompute import compare  # noqa: E402
from runs import BINARY, Run, expect_equal, expect_equal_pipelines  # noqa: E402

WRITER = pathlib.Path(BINARY).parent / "tests" / "write_random_set"
TASK = "interacts"
SETTINGS = ["model.mode=tokens", f"heads.tasks=['diagnosis', '{TASK}']", "heads.relation_layers=[12, 6]", "data.negatives=2", "train.steps=10",
            "train.evaluate_every=5", "train.global_batch=56", "optim.learning_rate=5e-3"]
SPLITS = ["train", "validation", "test"]


def run_on(ranks: int, *arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(["mpirun", "-n", str(ranks), "--oversubscribe", "--bind-to", "none", *arguments], capture_output=True, text=True)


def evaluate(run: Run, shards: pathlib.Path, ranks: int) -> pathlib.Path:
    out = run.folder / f"all-{ranks}"
    done = run_on(ranks, BINARY, "evaluate", "--checkpoint", str(run.folder / "best"), "--shards", str(shards), "--split", "all", "--out", str(out))
    assert done.returncode == 0, done.stderr
    assert "f1_micro at 0." in done.stdout, done.stdout
    return out


def candidates(shards: pathlib.Path) -> dict[tuple, object]:
    """(split, document|head|tail) -> class, None where nobody has looked for relations; straight from the parts."""
    schema = json.loads((shards / "catalogue.json").read_text())["schema"]
    number, task = next((i, t) for i, t in enumerate(schema["tasks"]) if t["name"] == TASK)
    found = {}
    for path in sorted(shards.glob("part-*.h5")):
        with h5py.File(path) as part:
            def text(group: str, names: str, i: int) -> str:
                return bytes(part[group][part[names][i]:part[names][i + 1]]).decode()
            columns = {name: part[f"/relations/{name}"][:] for name in ("task", "head", "tail", "class")}
            for row in range(len(part["/index/split"])):
                first, last = part["/concepts/offsets"][row:row + 2]
                types, known = part["/concepts/type"][first:last], part[f"/labels/{TASK}/valid"][row]
                begin, end = part["/relations/offsets"][row:row + 2]
                related = {(columns["head"][r], columns["tail"][r]): int(columns["class"][r]) for r in range(begin, end) if columns["task"][r] == number}
                document, split = text("/record/id/bytes", "/record/id/offsets", row), SPLITS[part["/index/split"][row]]
                for head in range(len(types)):
                    for tail in range(len(types)):
                        lower_first = task["directed"] or types[head] != types[tail] or head < tail
                        if head == tail or not lower_first or [types[head], types[tail]] not in task["candidates"]:
                            continue
                        names = [text("/concepts/ids", "/concepts/id_offsets", first + k) for k in (head, tail)]
                        found[split, "|".join([document, *names])] = related.get((head, tail), 0) if known else None
    return found


def check_predictions(out: pathlib.Path, shards: pathlib.Path) -> None:
    classes = next(t["classes"] for t in json.loads((shards / "catalogue.json").read_text())["schema"]["tasks"] if t["name"] == TASK)
    told = {}
    with open(out / "predictions.csv", newline="") as stream:
        for line in csv.DictReader(stream):
            if line["task"] == TASK:
                told.setdefault((line["split"], line["record_id"]), {})[line["class"]] = line
    expected = candidates(shards)
    assert told.keys() == expected.keys() and len(told) > 500, (len(told), len(expected))
    assert sum(label is None for label in expected.values()) > 20 and sum(bool(label) for label in expected.values()) > 50
    for place, label in expected.items():
        lines = told[place]
        assert list(lines) == classes
        assert [line["label"] for line in lines.values()] == ["" if label is None else str(int(k == label)) for k in range(len(classes))], place
        assert abs(sum(float(line["probability"]) for line in lines.values()) - 1) < 1e-5


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        shards, runs = folder / "shards", {}
        written = run_on(1, str(WRITER), str(shards))
        assert written.returncode == 0, written.stderr
        for ranks in (1, 2, 3, 4):
            runs[ranks] = Run(folder, f"ranks{ranks}", shards)
            assert runs[ranks].train(ranks, *SETTINGS) == 0, runs[ranks].log()
            if ranks > 1:
                expect_equal(runs[ranks], runs[1], 10)
        expect_equal_pipelines(folder, shards, runs[1], 10, *SETTINGS)
        frozen = [*SETTINGS, "text.freeze=all"]
        encoded, cached = Run(folder, "encoded", shards), Run(folder, "cached", shards)
        assert encoded.train(1, *frozen) == 0 and cached.train(2, *frozen, f"text.cache={folder / 'cache'}") == 0, encoded.log() + cached.log()
        expect_equal(cached, encoded, 10)
        steps = runs[1].steps()
        assert {s["leaves"] for s in steps} == {7} and all(set(s["task_losses"]) == {"diagnosis", TASK} for s in steps)
        names = {name.split("/", 1)[1] for name in runs[1].tensors(10)}
        assert {"relation.out.weight", "relation.layers.1.bias", "entity.W_a", "record.diagnosis.weight"} <= names, sorted(names)
        one, three = evaluate(runs[1], shards, 1), evaluate(runs[1], shards, 3)
        assert (one / "predictions.csv").read_text() == (three / "predictions.csv").read_text(), "predictions depend on the number of ranks"
        assert json.loads((one / "metrics.json").read_text()) == json.loads((three / "metrics.json").read_text())
        check_predictions(one, shards)
        compared = compare(one / "predictions.csv", one / "metrics.json")
        assert not compared.faults and compared.count > 60, "\n".join(compared.faults)
        chosen = json.loads((runs[1].folder / "best" / "manifest.json").read_text())["extra"]["validation"]["metrics"]["tasks"][TASK]["best_threshold"]
        used = json.loads((one / "metrics.json").read_text())["tasks"][TASK]["at_threshold"]["threshold"]
        assert used == chosen and 0 < used < 1, (used, chosen)
        exported = run_on(1, BINARY, "export", "--checkpoint", str(runs[1].folder / "best"), "--out", str(folder / "model"))
        assert exported.returncode == 0, exported.stderr
        task = next(t for t in json.loads((folder / "model" / "config.json").read_text())["tasks"] if t["name"] == TASK)
        assert task["threshold"] == chosen and task["directed"] is False and task["candidates"] == [["gene", "gene"], ["drug", "gene"], ["drug", "drug"]], task
        print(f"{compared.count} metrics recomputed; threshold {used:.4f} of the validation")


if __name__ == "__main__":
    sys.exit(main())
