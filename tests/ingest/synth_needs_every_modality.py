"""Synthetic records can be learned from, and leaving out any of notes, series, static features and images makes a plain model clearly worse.

The model: ridge regression of every label on bags of tokens, summaries of the series, static features and pooled pixels. Mean AUROC over tasks on patients not
trained on, with a paired bootstrap over patients.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile

import h5py
import numpy as np

RECORDS, BOOTSTRAPS, SMALLEST_DROP = 6000, 400, 0.03


def read(directory: pathlib.Path) -> tuple[dict, dict]:
    """All parts of a data set, joined: path -> array, offsets turned into lengths."""
    catalogue = json.loads((directory / "catalogue.json").read_text())
    fields: dict[str, list] = {}
    for part in catalogue["parts"]:
        with h5py.File(directory / part["file"]) as file:
            def visit(name, item):
                if isinstance(item, h5py.Dataset):
                    values = item[...]
                    fields.setdefault(name, []).append(np.diff(values) if name.endswith("offsets") else values)
            file.visititems(visit)
    return catalogue, {name: np.concatenate(parts) for name, parts in fields.items()}


def series_features(values: np.ndarray, observed: np.ndarray) -> np.ndarray:
    """Per channel: mean and last measurement (the mean over records where there is none) and the rate of measuring."""
    observed = observed.astype(bool)
    count = observed.sum(1)
    mean = values.astype(float).sum(1) / np.maximum(count, 1)
    last_hour = np.where(observed, np.arange(values.shape[1])[None, :, None], 0).max(1)
    last = np.take_along_axis(values, last_hour[:, None, :], 1)[:, 0].astype(float)
    usual = mean.sum(0) / np.maximum((count > 0).sum(0), 1)
    return np.hstack([np.where(count > 0, mean, usual), np.where(count > 0, last, usual), count / values.shape[1]])


def features(catalogue: dict, fields: dict) -> dict[str, np.ndarray]:
    rows = len(fields["index/split"])
    tokens = "tokens/" + catalogue["tokenizer_digest"]
    note = np.repeat(np.arange(rows), fields["notes/offsets"])
    record = np.repeat(note, fields[tokens + "/offsets"])
    width = int(fields[tokens + "/ids"].max()) + 1
    bag = np.bincount(record * width + fields[tokens + "/ids"], minlength=rows * width).reshape(rows, width)
    image = fields["image/values"].reshape(rows, 7, 4, 7, 4).mean((2, 4))
    groups = [group["name"] for group in catalogue["schema"]["series"]]
    return {
        "notes": bag[:, bag.sum(0) > RECORDS / 200].astype(float),
        "series": np.hstack([series_features(fields[f"series/{name}/values"], fields[f"series/{name}/observed"]) for name in groups]),
        "static": np.hstack([fields["static/values"], fields["static/observed"]]).astype(float),
        "image": image.reshape(rows, 49),
    }


def weighted_aurocs(positive: np.ndarray, score: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """One AUROC a row of `weights`; equal scores count half only by chance, which real-valued scores do not have."""
    order = np.argsort(score, kind="stable")
    above = weights[:, order] * positive[order]
    below = weights[:, order] * ~positive[order]
    return (above * np.cumsum(below, 1)).sum(1) / (above.sum(1) * below.sum(1))


def mean_aurocs(inputs: list[np.ndarray], catalogue: dict, fields: dict, weights: np.ndarray) -> np.ndarray:
    """Mean over tasks of the mean over classes; entry 0 without resampling, then one a bootstrap."""
    split = fields["index/split"]
    train, held_out = split == 0, split > 0
    x = np.hstack(inputs)
    x = (x - x[train].mean(0)) / (x[train].std(0) + 1e-9)
    x = np.hstack([x, np.ones((len(x), 1))])
    tasks = []
    for task in catalogue["schema"]["tasks"]:
        target = fields[f"labels/{task['name']}/values"]
        if task["kind"] == "multiclass":
            target = (target == np.arange(len(task["classes"]))).astype(float)
        valid = fields[f"labels/{task['name']}/valid"] > 0
        fit = x[train & valid]
        solution = np.linalg.solve(fit.T @ fit + 50 * np.eye(fit.shape[1]), fit.T @ target[train & valid])
        known = valid[held_out]
        score, truth = x[held_out & valid] @ solution, target[held_out & valid] > 0.5
        tasks.append(np.mean([weighted_aurocs(truth[:, c], score[:, c], weights[:, known]) for c in range(truth.shape[1])], 0))
    return np.mean(tasks, 0)


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        directory = pathlib.Path(folder, "shards")
        command = [os.environ["TRIBUTARY_BINARY"], "shards", "synth", "--out", str(directory), "--records", str(RECORDS), "--images", "1", "--parts", "2"]
        subprocess.run(command, check=True)
        catalogue, fields = read(directory)
    assert len(fields["index/split"]) == RECORDS
    assert (fields["index/presence"] == 15).all()
    held_out = fields["index/patient"][fields["index/split"] > 0]
    assert not set(held_out) & set(fields["index/patient"][fields["index/split"] == 0]), "a patient stands in two splits"
    patients, patient = np.unique(held_out, return_inverse=True)
    draws = np.random.default_rng(1).multinomial(len(patients), np.full(len(patients), 1 / len(patients)), BOOTSTRAPS)
    weights = np.vstack([np.ones(len(held_out)), draws[:, patient]]).astype(float)
    inputs = features(catalogue, fields)
    full = mean_aurocs(list(inputs.values()), catalogue, fields, weights)
    print(f"all modalities: mean AUROC {full[0]:.3f}, 95 % interval {np.percentile(full[1:], 2.5):.3f} ... {np.percentile(full[1:], 97.5):.3f}")
    faults = []
    if not 0.82 < full[0] < 0.93:
        faults.append(f"mean AUROC {full[0]:.3f} is not in 0.82 ... 0.93")
    for left_out in inputs:
        drop = full - mean_aurocs([inputs[name] for name in inputs if name != left_out], catalogue, fields, weights)
        low, high = np.percentile(drop[1:], [2.5, 97.5])
        print(f"without {left_out}: lower by {drop[0]:.3f}, 95 % interval {low:.3f} ... {high:.3f}")
        if drop[0] < SMALLEST_DROP or low <= 0:
            faults.append(f"leaving out {left_out} lowers the mean AUROC by {drop[0]:.3f} ({low:.3f} ... {high:.3f}); at least {SMALLEST_DROP} is asked for")
    print("\n".join(faults))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
