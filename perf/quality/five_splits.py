"""Trains on five splits of a real data set, pools the test predictions and sets a logistic regression on the same inputs beside them.

    .deps/python-peers/bin/python perf/quality/five_splits.py SOURCE_FOLDER --out FOLDER [--ranks 2] [--set key=value ...]

A modality is left out by --set 'data.leave_out=["notes"]'.
Prints one line a task: AUROC (macro for several classes) of the model pooled over the splits with a bootstrap interval over records, and of the peers.
"""

import argparse
import csv
import json
import os
import pathlib
import subprocess
import sys
import time

import h5py
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import StandardScaler

ROOT = pathlib.Path(__file__).resolve().parents[2]


def train(source, out, salt, arguments):
    environment = os.environ | {"SALT": str(salt), "RUNS": str(out), "RANKS": str(arguments.ranks), "SET": " ".join(arguments.set)}
    begin = time.perf_counter()
    subprocess.run([ROOT / "launch/quickstart", source], env=environment, check=True, stdout=(out / "log.txt").open("w"), stderr=subprocess.STDOUT)
    return next(p for p in out.iterdir() if p.is_dir()), time.perf_counter() - begin


def predictions(folder):
    """task -> {(record, class): (label, probability)} of valid labels."""
    result = {}
    with (folder / "test" / "predictions.csv").open() as stream:
        for row in csv.DictReader(stream):
            if row["label"] != "":
                result.setdefault(row["task"], {})[row["record_id"], row["class"]] = (float(row["label"]), float(row["probability"]))
    return result


def features(folder):
    """Per split and record id: summary features of series and static inputs, and the labels."""
    catalogue = json.loads((folder / "shards" / "catalogue.json").read_text())
    schema, rows = catalogue["schema"], {0: [], 1: [], 2: []}
    for part in catalogue["parts"]:
        with h5py.File(folder / "shards" / part["file"]) as f:
            offsets, characters = f["/record/id/offsets"][:], f["/record/id/bytes"][:].tobytes()
            ids = [characters[a:b].decode() for a, b in zip(offsets, offsets[1:])]
            columns = [f["/static/values"][:], f["/static/observed"][:]]
            for group in schema["series"]:
                v, o = f[f"/series/{group['name']}/values"][:].astype("f8"), f[f"/series/{group['name']}/observed"][:] > 0
                hours = np.arange(v.shape[1])[None, :, None]
                last = np.where(o, hours, -1).max(1)
                columns += [np.where(o, v, 0).sum(1) / np.maximum(o.sum(1), 1), np.where(o, v, np.inf).min(1), np.where(o, v, -np.inf).max(1),
                            np.take_along_axis(v, np.maximum(last, 0)[:, None], 1)[:, 0], o.mean(1)]
            x = np.concatenate([c.reshape(len(ids), -1) for c in columns], 1)
            y = {t["name"]: (f[f"/labels/{t['name']}/values"][:, 0], f[f"/labels/{t['name']}/valid"][:] > 0) for t in schema["tasks"] if t["kind"] == "binary"}
            for r, (i, s) in enumerate(zip(ids, f["/index/split"][:])):
                rows[int(s)].append((i, x[r], {t: (v[r], ok[r]) for t, (v, ok) in y.items()}))
    return schema, rows


def logistic(folder):
    """task -> {(record, class): (label, probability)} for the binary tasks."""
    schema, rows = features(folder)
    x = {s: np.stack([r[1] for r in rows[s]]) for s in rows}
    for s in x:
        x[s][~np.isfinite(x[s])] = np.nan
    centre = np.nanmean(x[0], 0)
    centre[~np.isfinite(centre)] = 0
    x = {s: np.where(np.isnan(v), centre, v) for s, v in x.items()}
    scaler = StandardScaler().fit(x[0])
    x = {s: np.clip(scaler.transform(v), -5, 5) for s, v in x.items()}
    result = {}
    for task in (t for t in schema["tasks"] if t["kind"] == "binary"):
        label = {s: np.array([r[2][task["name"]][0] for r in rows[s]]) for s in rows}
        valid = {s: np.array([bool(r[2][task["name"]][1]) for r in rows[s]]) for s in rows}
        best, score = None, -1
        for strength in (0.001, 0.003, 0.01, 0.03, 0.1):
            model = LogisticRegression(C=strength, max_iter=2000).fit(x[0][valid[0]], label[0][valid[0]])
            on_validation = roc_auc_score(label[1][valid[1]], model.predict_proba(x[1][valid[1]])[:, 1])
            if on_validation > score:
                best, score = model, on_validation
        p = best.predict_proba(x[2])[:, 1]
        result[task["name"]] = {(r[0], task["classes"][1]): (label[2][k], p[k]) for k, r in enumerate(rows[2]) if valid[2][k]}
    return result


def auroc(cells):
    """Macro over the classes that have both labels; cells: [(class, label, probability, record)]"""
    by_class = {}
    for name, y, p, _ in cells:
        by_class.setdefault(name, []).append((y, p))
    scores = [roc_auc_score(*zip(*pairs)) for pairs in by_class.values() if len({y for y, _ in pairs}) == 2]
    return float(np.mean(scores)) if scores else float("nan")


def interval(cells, rounds=200):
    rng = np.random.default_rng(1)
    by_record = {}
    for cell in cells:
        by_record.setdefault(cell[3], []).append(cell)
    records = list(by_record)
    values = [auroc([c for k in rng.integers(len(records), size=len(records)) for c in by_record[records[k]]]) for _ in range(rounds)]
    return np.nanpercentile(values, [2.5, 97.5])


def pooled(parts):
    """Splits pooled: cells of every split together; a record that is in several test sets counts in each."""
    return [(c, y, p, (salt, r)) for salt, part in parts.items() for (r, c), (y, p) in part.items()]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("source", type=pathlib.Path)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--salts", type=int, nargs="+", default=[1, 2, 3, 4, 5])
    parser.add_argument("--set", nargs="*", default=[])
    parser.add_argument("--no-peer", action="store_true")
    arguments = parser.parse_args()
    model, peer, seconds = {}, {}, []
    for salt in arguments.salts:
        out = (arguments.out / f"salt-{salt}").resolve()
        out.mkdir(parents=True, exist_ok=True)
        folder, took = train(arguments.source.resolve(), out, salt, arguments)
        seconds.append(took)
        for task, cells in predictions(folder).items():
            model.setdefault(task, {})[salt] = cells
        if not arguments.no_peer:
            for task, cells in logistic(folder).items():
                peer.setdefault(task, {})[salt] = cells
        line = {t: round(auroc(pooled({salt: parts[salt]})), 4) for t, parts in model.items()}
        print(f"salt {salt}: {took:.0f} s, {line}", file=sys.stderr, flush=True)
    for task, parts in model.items():
        low, high = interval(pooled(parts))
        beside = f", logistic regression {auroc(pooled(peer[task])):.4f}" if task in peer else ""
        print(f"{task}: AUROC pooled {auroc(pooled(parts)):.4f} ({low:.4f}-{high:.4f}), class prior 0.5{beside}")
    print(f"seconds a run: median {np.median(seconds):.0f}, longest {max(seconds):.0f}")


if __name__ == "__main__":
    main()
