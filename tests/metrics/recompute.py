"""Recomputes every metric from predictions.csv alone, by other means than the program, and compares with metrics.json.

Usage: recompute.py predictions.csv metrics.json          the output of any `tributary evaluate`
       recompute.py --write PROGRAM                       PROGRAM DIR writes both files first; changed files must then be refused
"""

import collections
import csv
import json
import math
import pathlib
import subprocess
import sys
import tempfile

import numpy as np

TOLERANCE = 1e-9
UNDEFINED = "undefined"


def auroc(score, truth):
    """Share of (positive, negative) pairs in the right order: midranks of Mann and Whitney."""
    positives, negatives = truth.sum(), (1 - truth).sum()
    if positives == 0 or negatives == 0:
        return UNDEFINED
    distinct, place, count = np.unique(score, return_inverse=True, return_counts=True)
    midrank = np.cumsum(count) - (count - 1) / 2
    return (midrank[place][truth == 1].sum() - positives * (positives + 1) / 2) / (positives * negatives)


def auprc(score, truth):
    if truth.sum() == 0:
        return UNDEFINED
    total, recall_before = 0.0, 0.0
    for threshold in np.unique(score)[::-1]:
        taken = score >= threshold
        recall = truth[taken].sum() / truth.sum()
        total += (recall - recall_before) * truth[taken].mean()
        recall_before = recall
    return total


def ratio(part, whole):
    return part / whole if whole else UNDEFINED


def mean(values):
    values = [v for v in values if not isinstance(v, str)]
    return ratio(float(np.sum(values)), len(values))


def ece(confidence, correct):
    if len(confidence) == 0:
        return UNDEFINED
    bins = np.minimum(np.floor(15 * confidence), 14)
    return sum((bins == b).mean() * abs(correct[bins == b].mean() - confidence[bins == b].mean()) for b in np.unique(bins))


def decisions(said, truth):
    return {"tp": int((said & (truth == 1)).sum()), "fp": int((said & (truth == 0)).sum()),
            "tn": int((~said & (truth == 0)).sum()), "fn": int((~said & (truth == 1)).sum())}


def f1(d):
    return ratio(2 * d["tp"], 2 * d["tp"] + d["fp"] + d["fn"])


def sensitivity(d):
    return ratio(d["tp"], d["tp"] + d["fn"])


def specificity(d):
    return ratio(d["tn"], d["tn"] + d["fp"])


def average(values):
    return float(np.mean(values)) if len(values) else UNDEFINED


def log_loss(of_truth):
    return average(-np.log(np.maximum(of_truth, 1e-15)))


def binary(p, y):
    d = decisions(p >= 0.5, y)
    return {"auroc": auroc(p, y), "auprc": auprc(p, y), "accuracy": ratio(d["tp"] + d["tn"], len(y)), "sensitivity": sensitivity(d),
            "specificity": specificity(d), "precision": ratio(d["tp"], d["tp"] + d["fp"]), "f1": f1(d), "ece": ece(p, y), "brier": average((p - y) ** 2),
            "log_loss": log_loss(np.where(y == 1, p, 1 - p))}, [[d["tn"], d["fp"]], [d["fn"], d["tp"]]]


def macro(p, y, said):
    each = [decisions(said[:, k], y[:, k]) for k in range(p.shape[1])]
    pooled = {key: sum(d[key] for d in each) for key in each[0]}
    return each, pooled, {"auroc": mean([auroc(p[:, k], y[:, k]) for k in range(p.shape[1])]),
                          "auprc": mean([auprc(p[:, k], y[:, k]) for k in range(p.shape[1])]), "sensitivity_macro": mean(map(sensitivity, each)),
                          "specificity_macro": mean(map(specificity, each)), "f1_macro": mean(map(f1, each)), "f1_micro": f1(pooled)}


def multiclass(p, y):
    top, truth = p.argmax(axis=1), y.argmax(axis=1)
    _, _, values = macro(p, y, np.eye(p.shape[1], dtype=bool)[top])
    rows = np.arange(len(p))
    values |= {"accuracy": average(top == truth), "ece": ece(p[rows, top], (top == truth).astype(float)), "brier": average(((p - y) ** 2).sum(axis=1)),
               "log_loss": log_loss(p[rows, truth])}
    confusion = np.zeros((p.shape[1], p.shape[1]), dtype=int)
    np.add.at(confusion, (truth, top), 1)
    return values, confusion.tolist()


def decided(p, threshold=None):
    """The most probable class; with a threshold the most probable class but the first where the first leaves at least that much."""
    if threshold is None:
        return p.argmax(axis=1)
    return np.where(1 - p[:, 0] >= threshold, 1 + p[:, 1:].argmax(axis=1), 0) if len(p) else np.zeros(0, dtype=int)


def relation_decisions(truth, said, classes):
    """Scores over sets of (pair, class); class 0 is no relation."""
    def scores(among):
        told = {(i, k) for i, k in enumerate(said.tolist()) if k in among}
        true = {(i, k) for i, k in enumerate(truth.tolist()) if k in among}
        right = len(told & true)
        return ratio(right, len(told)), ratio(right, len(true)), ratio(2 * right, len(told) + len(true))
    micro, all_classes = scores(set(range(1, classes))), scores(set(range(classes)))
    each = [scores({k}) for k in range(classes)]
    return {"accuracy": average(said == truth), "precision_micro": micro[0], "recall_micro": micro[1], "f1_micro": micro[2],
            "precision_macro": mean([e[0] for e in each[1:]]), "recall_macro": mean([e[1] for e in each[1:]]), "f1_macro": mean([e[2] for e in each[1:]]),
            "f1_micro_with_none": all_classes[2], "f1_macro_with_none": mean([e[2] for e in each])}


def relation(p, y):
    truth, rows, related = y.argmax(axis=1), np.arange(len(p)), range(1, p.shape[1])
    top = decided(p)
    values = relation_decisions(truth, top, p.shape[1])
    values |= {"auroc": mean([auroc(p[:, k], y[:, k]) for k in related]), "auprc": mean([auprc(p[:, k], y[:, k]) for k in related]),
               "ece": ece(p[rows, top], (top == truth).astype(float)), "brier": average(((p - y) ** 2).sum(axis=1)), "log_loss": log_loss(p[rows, truth])}
    confusion = np.zeros((p.shape[1], p.shape[1]), dtype=int)
    np.add.at(confusion, (truth, top), 1)
    return values, confusion.tolist()


def compare_thresholds(comparison, name, told, p, y):
    truth, classes = y.argmax(axis=1), p.shape[1]
    if "at_threshold" in told:
        values = relation_decisions(truth, decided(p, told["at_threshold"]["threshold"]), classes)
        assert set(values) == set(told["at_threshold"]["metrics"])
        for metric, value in values.items():
            comparison.equal(f"{name} at_threshold {metric}", told["at_threshold"]["metrics"][metric], value)
    if told["best_threshold"] == UNDEFINED:
        assert not (truth > 0).any(), f"{name}: a best threshold is missing"
        return
    f1_at = [relation_decisions(truth, decided(p, t), classes)["f1_micro"] for t in np.unique(1 - p[:, 0])]
    comparison.equal(f"{name} f1_micro at the best threshold", relation_decisions(truth, decided(p, told["best_threshold"]), classes)["f1_micro"], max(f1_at))


def multilabel(p, y):
    each, pooled, values = macro(p, y, p >= 0.5)
    columns = range(p.shape[1])
    values |= {"accuracy": ratio(pooled["tp"] + pooled["tn"], p.size), "ece": mean([ece(p[:, k], y[:, k]) for k in columns]),
               "brier": mean([average((p[:, k] - y[:, k]) ** 2) for k in columns]),
               "log_loss": mean([log_loss(np.where(y[:, k] == 1, p[:, k], 1 - p[:, k])) for k in columns])}
    return values, [[[d["tn"], d["fp"]], [d["fn"], d["tp"]]] for d in each]


def regression(p, y):
    spread = ((y - y.mean()) ** 2).sum() if len(y) else 0
    return {"mae": average(np.abs(p - y)), "rmse": math.sqrt(((p - y) ** 2).mean()) if len(y) else UNDEFINED,
            "r2": 1 - ((p - y) ** 2).sum() / spread if len(y) and np.ptp(y) > 0 else UNDEFINED}, None


class Comparison:
    def __init__(self):
        self.count, self.largest, self.faults = 0, 0.0, []

    def equal(self, where, told, found):
        self.count += 1
        if isinstance(told, str) or isinstance(found, str):
            if told != found:
                self.faults.append(f"{where}: metrics.json says {told}, predictions.csv gives {found}")
            return
        difference = abs(told - found)
        self.largest = max(self.largest, difference)
        if not difference <= TOLERANCE:
            self.faults.append(f"{where}: metrics.json says {told!r}, predictions.csv gives {found!r}")


def read(path):
    """task -> class -> [(record, label or None, probability)], in the order of the file."""
    tasks = collections.defaultdict(lambda: collections.defaultdict(list))
    with open(path, newline="", encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            label = float(row["label"]) if row["label"] else None
            tasks[row["task"]][row["class"]].append((row["record_id"], label, float(row["probability"])))
    return tasks


def arrays(classes):
    """probability [N, outputs], label [N, outputs] of the records with a label, and how many have none."""
    columns = list(classes.values())
    for column in columns:
        assert [r for r, _, _ in column] == [r for r, _, _ in columns[0]], "the classes of a task must list the same records"
    p = np.array([[v for _, _, v in column] for column in columns]).T
    y = np.array([[math.nan if label is None else label for _, label, _ in column] for column in columns]).T
    known = ~np.isnan(y).any(axis=1)
    return p[known], y[known], int((~known).sum())


def compare_task(comparison, name, told, classes):
    p, y, missing = arrays(classes)
    kind = told["kind"]
    measure = {"binary": lambda a, b: binary(a[:, 0], b[:, 0]), "multiclass": multiclass, "multilabel": multilabel, "relation": relation,
               "regression": lambda a, b: regression(a[:, 0], b[:, 0])}[kind]
    sides = [("metrics", p)]
    if kind != "regression":
        assert len(told["training_frequencies"]) == p.shape[1], f"{name}: one training frequency for each output is needed"
        sides.append(("class_prior", np.tile(told["training_frequencies"], (len(y), 1))))
    comparison.equal(f"{name} records", told["records"], len(y))
    comparison.equal(f"{name} missing_labels", told["missing_labels"], missing)
    for key, probability in sides:
        values, confusion = measure(probability, y)
        assert set(values) == set(told[key]), f"{name}: {key} holds {sorted(told[key])}, expected {sorted(values)}"
        for metric, value in values.items():
            comparison.equal(f"{name} {key} {metric}", told[key][metric], value)
        if key == "metrics" and confusion is not None:
            matrix = list(told["confusion"].values()) if kind == "multilabel" else told["confusion"]
            comparison.equal(f"{name} confusion", str(matrix), str(confusion))
    if kind == "relation":
        compare_thresholds(comparison, name, told, p, y)
    if kind in ("multiclass", "multilabel", "relation"):
        assert told["classes"] == list(classes), f"{name}: other classes in the two files"
        for k, label in enumerate(classes):
            comparison.equal(f"{name} auroc {label}", told["auroc_by_class"][label], auroc(p[:, k], y[:, k]))
            comparison.equal(f"{name} positives {label}", told["positives"][k], int(y[:, k].sum()))
    if kind == "binary" and told["metrics"]["auroc"] != UNDEFINED:
        low, high = told["auroc_interval_95"]
        assert low <= told["metrics"]["auroc"] <= high, f"{name}: the interval leaves the estimate out"
    return measure(p, y)[0]


def compare(predictions, metrics):
    told = json.loads(pathlib.Path(metrics).read_text(encoding="utf-8"))
    tasks = read(predictions)
    comparison = Comparison()
    assert set(told["tasks"]) == set(tasks), f"tasks of metrics.json {sorted(told['tasks'])}, of predictions.csv {sorted(tasks)}"
    own = [compare_task(comparison, name, told["tasks"][name], classes) for name, classes in tasks.items()]
    for metric in ("auroc", "auprc"):
        comparison.equal(f"mean {metric}", told["mean"][metric], mean([values.get(metric, UNDEFINED) for values in own]))
    assert comparison.count >= 8 * len(tasks) > 0, "hardly anything was compared"
    return comparison


def main():
    if sys.argv[1] != "--write":
        comparison = compare(sys.argv[1], sys.argv[2])
        print("\n".join(comparison.faults) or f"{comparison.count} values agree, largest difference {comparison.largest:.1e}")
        return 1 if comparison.faults else 0
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        subprocess.run([sys.argv[2], folder], check=True)
        predictions, metrics = folder / "predictions.csv", folder / "metrics.json"
        comparison = compare(predictions, metrics)
        assert not comparison.faults, "\n".join(comparison.faults)
        assert {t["kind"] for t in json.loads(metrics.read_text())["tasks"].values()} == {"binary", "multiclass", "multilabel", "regression", "relation"}
        assert UNDEFINED in metrics.read_text(), "a class without positives must give an undefined metric"
        lines = predictions.read_text().splitlines()
        changed = lines[1].rsplit(",", 1)[0] + ",0.987654321"
        predictions.write_text("\n".join([lines[0], changed] + lines[2:]) + "\n")
        assert compare(predictions, metrics).faults, "a changed probability must be noticed"
        print(f"{comparison.count} values agree, largest difference {comparison.largest:.1e}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
