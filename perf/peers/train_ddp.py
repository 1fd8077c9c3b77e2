"""Trains the plain PyTorch peer data-parallel (DDP, gloo) from the same shards and prints one JSON line: the peer of `tributary train`.

Run on every process with RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT set. Reading is chunk-wise (whole chunks, shuffled in a window of eight), which
is kinder to h5py than random rows.
"""

import argparse
import json
import os
import pathlib
import time
import tomllib

import h5py
import numpy as np
import torch
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from plain_model import PlainModel


class Shards:
    def __init__(self, directory, notes, window_tokens):
        self.directory = pathlib.Path(directory)
        self.catalogue = json.loads((self.directory / "catalogue.json").read_text())
        self.schema = self.catalogue["schema"]
        self.notes = notes and self.schema["notes"]
        self.limit = window_tokens - 2
        vocabulary = (self.directory / self.catalogue["vocabulary"]["file"]).read_text().split("\n") if self.notes else []
        self.vocabulary_size = len([token for token in vocabulary if token])
        self.cls, self.sep = (vocabulary.index("[CLS]"), vocabulary.index("[SEP]")) if self.notes else (0, 0)
        norm = self.catalogue["normalisation"]
        arrays = lambda stats: (np.array([s["mean"] for s in stats], "f4"), np.array([s["deviation"] for s in stats], "f4"))
        self.static_norm = arrays(norm["static"])
        self.series_norm = [arrays(group) for group in norm["series"]]

    def blocks(self):
        """(part, first row, rows) of every chunk of the training split."""
        size = self.catalogue["chunk_rows"]
        for number, part in enumerate(self.catalogue["parts"]):
            for first in range(0, part["rows"][0], size):
                yield number, first, min(size, part["rows"][0] - first)

    def read(self, files, block):
        part, first, rows = block
        if part not in files:
            files[part] = h5py.File(self.directory / self.catalogue["parts"][part]["file"], "r")
        f, here = files[part], slice(first, first + rows)
        data = {"steps": f["/index/steps"][here].astype("i8"), "static": (f["/static/values"][here], f["/static/observed"][here]), "series": [], "labels": []}
        for group in self.schema["series"]:
            data["series"].append((f[f"/series/{group['name']}/values"][here], f[f"/series/{group['name']}/observed"][here]))
        for task in self.schema["tasks"]:
            data["labels"].append((f[f"/labels/{task['name']}/values"][here], f[f"/labels/{task['name']}/valid"][here]))
        if self.notes:
            offsets = f["/notes/offsets"][first : first + rows + 1]
            tokens = f[f"/tokens/{self.catalogue['tokenizer_digest']}/offsets"][offsets[0] : offsets[-1] + 1]
            group = f[f"/tokens/{self.catalogue['tokenizer_digest']}"]
            data["notes"] = (offsets - offsets[0], f["/notes/hour"][offsets[0] : offsets[-1]], tokens - tokens[0],
                             group["ids"][tokens[0] : tokens[-1]], group["marks"][tokens[0] : tokens[-1]])
        return data


def series_input(values, observed, mean, deviation):
    """[x ; m ; delta] of one group, carried forward."""
    rows, hours, channels = values.shape
    seen = observed > 0
    x = np.clip((values - mean) / deviation, -8, 8).astype("f4")
    hour = np.arange(hours)[None, :, None]
    last = np.maximum.accumulate(np.where(seen, hour, -1), axis=1)
    carried = np.where(last >= 0, np.take_along_axis(x, np.maximum(last, 0), axis=1), 0).astype("f4")
    delta = np.where(last >= 0, np.minimum(hour - last, 48) / 48, 1).astype("f4")
    return np.concatenate([carried, seen.astype("f4"), delta], axis=2)


def token_weights(marks):
    """Weight of each token in its document: mean over paragraphs of means over sentences of means over tokens."""
    weight = np.empty(len(marks), "f4")
    paragraphs = np.flatnonzero(marks & 2).tolist() + [len(marks)]
    for a, b in zip(paragraphs, paragraphs[1:]):
        sentences = (a + np.flatnonzero(marks[a:b] & 1)).tolist() + [b]
        for c, d in zip(sentences, sentences[1:]):
            weight[c:d] = 1 / ((len(paragraphs) - 1) * (len(sentences) - 1) * (d - c))
    return weight


def collate(shards, rows):
    """rows: list of (block data, row in block) -> tensors."""
    t = torch.from_numpy
    batch = {"z": [], "steps": t(np.array([d["steps"][r] for d, r in rows]))}
    for g, (mean, deviation) in enumerate(shards.series_norm):
        values = np.stack([d["series"][g][0][r] for d, r in rows])
        observed = np.stack([d["series"][g][1][r] for d, r in rows])
        batch["z"].append(t(series_input(values, observed, mean, deviation)))
    observed = np.stack([d["static"][1][r] for d, r in rows]).astype("f4")
    values = np.stack([d["static"][0][r] for d, r in rows])
    mean, deviation = shards.static_norm
    batch["static"] = t(np.concatenate([np.where(observed > 0, np.clip((values - mean) / deviation, -8, 8), 0).astype("f4"), observed], 1))
    batch["labels"] = [
        (t(np.stack([d["labels"][k][0][r] for d, r in rows])), t(np.array([d["labels"][k][1][r] for d, r in rows]) > 0))
        for k in range(len(shards.schema["tasks"]))
    ]
    if shards.notes:
        notes = []
        for row, (d, r) in enumerate(rows):
            offsets, hours, tokens, ids, marks = d["notes"]
            for n in range(offsets[r], offsets[r + 1]):
                a, b = tokens[n], min(tokens[n + 1], tokens[n] + shards.limit)
                notes.append((row, hours[n], ids[a:b], marks[a:b]))
        longest = max(len(ids) for _, _, ids, _ in notes) + 2
        tokens, weights, lengths = np.zeros((len(notes), longest), "i8"), np.zeros((len(notes), longest), "f4"), np.zeros(len(notes), "i8")
        for k, (_, _, ids, marks) in enumerate(notes):
            n = len(ids)
            tokens[k, 0], tokens[k, 1 : n + 1], tokens[k, n + 1] = shards.cls, ids, shards.sep
            weights[k, 1 : n + 1], lengths[k] = token_weights(marks), n + 2
        batch |= {"tokens": t(tokens), "token_weight": t(weights), "lengths": t(lengths),
                  "note_record": torch.tensor([n[0] for n in notes]), "note_hour": torch.tensor([int(n[1]) for n in notes])}
    return batch


class Batches(IterableDataset):
    def __init__(self, shards, batch, rank, world, seed):
        self.shards, self.batch, self.rank, self.world, self.seed = shards, batch, rank, world, seed
        self.epoch = 0

    def __iter__(self):
        assert get_worker_info() is None or get_worker_info().num_workers == 1
        rng = np.random.default_rng((self.seed, self.epoch))
        blocks = list(self.shards.blocks())
        rng.shuffle(blocks)
        mine = blocks[self.rank :: self.world]
        # Every process runs the same number of steps: the shortest share decides.
        rows = min(sum(b[2] for b in blocks[r :: self.world]) for r in range(self.world))
        files, steps, waiting = {}, rows // self.batch, []
        for first in range(0, len(mine), 8):
            window = [(data, r) for b in mine[first : first + 8] for data in [self.shards.read(files, b)] for r in range(b[2])]
            rng.shuffle(window)
            waiting += window
            while len(waiting) >= self.batch and steps > 0:
                yield collate(self.shards, waiting[: self.batch])
                waiting, steps = waiting[self.batch :], steps - 1


def memory_mib():
    """Proportional set size of this process and its workers."""
    total = 0
    pids = [os.getpid()] + [int(p) for p in pathlib.Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()]
    for pid in pids:
        for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1])
    return total / 1024


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("config")
    parser.add_argument("--shards", required=True)
    parser.add_argument("--batches", type=int, default=0, help="stop an epoch after so many steps")
    parser.add_argument("--epochs", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(1)
    rank, world = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    if world > 1:
        torch.distributed.init_process_group("gloo")
    config = tomllib.loads(pathlib.Path(arguments.config).read_text())
    text, lstm, cnn, attention = (config.get(k, {}) for k in ("text", "lstm", "cnn", "attention"))
    settings = {"lstm_layers": lstm.get("layers", 3), "lstm_width": lstm.get("width", 256), "pairs": cnn.get("pairs", [[3, 1], [4, 2], [5, 4]]),
                "filters": cnn.get("filters", 32), "windows": cnn.get("windows", 4), "heads": attention.get("heads", 8),
                "head_width": attention.get("head_width", 64), "dropout": config.get("model", {}).get("dropout", 0.1)}
    shards = Shards(arguments.shards, "notes" not in config.get("data", {}).get("leave_out", []), config.get("data", {}).get("window_tokens", 512))
    encoder = None
    if shards.notes:
        from transformers import BertConfig, BertModel

        encoder = BertModel(BertConfig(vocab_size=shards.vocabulary_size, hidden_size=text.get("width", 64), num_hidden_layers=text.get("layers", 2),
                                       num_attention_heads=text.get("heads", 2), intermediate_size=text.get("intermediate", 256),
                                       max_position_embeddings=text.get("positions", 512)), add_pooling_layer=False)
    width = {"multiclass": lambda t: len(t["classes"]), "multilabel": lambda t: len(t["classes"])}
    tasks = [(t["name"], t["kind"], width.get(t["kind"], lambda _: 1)(t)) for t in shards.schema["tasks"]]
    model = PlainModel(settings, [len(g["channels"]) for g in shards.schema["series"]], len(shards.schema["static"]), tasks, encoder)
    parameters = sum(p.numel() for p in model.parameters())
    parallel = DistributedDataParallel(model) if world > 1 else model
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.01, fused=True)
    dataset = Batches(shards, config["train"]["global_batch"] // world, rank, world, 1)
    step_s, epoch_s, records, losses, peak = [], [], 0, [], 0.0
    for epoch in range(arguments.epochs):
        dataset.epoch = epoch
        begin = last = time.perf_counter()
        for number, batch in enumerate(DataLoader(dataset, batch_size=None, num_workers=1, prefetch_factor=4)):
            if arguments.batches and number >= arguments.batches:
                break
            optimizer.zero_grad(set_to_none=True)
            loss = model.loss(parallel(batch), batch)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            losses.append(loss.item())
            now = time.perf_counter()
            step_s.append(now - last)
            last = now
            records += len(batch["steps"])
            if len(step_s) % 100 == 50:
                peak = max(peak, memory_mib())
        epoch_s.append(time.perf_counter() - begin)
    print(json.dumps({"rank": rank, "parameters": parameters, "records": records, "epoch_s": epoch_s, "median_step_s": float(np.median(step_s)),
                      "records_per_s": records * world / sum(epoch_s), "first_loss": losses[0], "last_loss": float(np.mean(losses[-20:])), "pss_mib": peak}))


if __name__ == "__main__":
    main()
