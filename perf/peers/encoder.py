"""The encoder of perf/scaling as `transformers` has it, whole or a stage of it, and what its peers share: the same sizes, inputs, dropout and optimizer as ours."""

import json
import pathlib
import time

import torch
import torch.distributed as dist
import transformers

CLASSES = 40


class Stage(torch.nn.Module):
    """Layers [first, last) of the encoder; the one that begins with layer 0 embeds, the one with the last layer has the head."""

    def __init__(self, given, first, last):
        super().__init__()
        config = transformers.BertConfig(vocab_size=given["vocabulary"], hidden_size=given["width"], num_hidden_layers=given["layers"], num_attention_heads=given["heads"],
                                         intermediate_size=given["intermediate"], max_position_embeddings=given["positions"])
        whole = transformers.BertModel(config, add_pooling_layer=False)
        self.embeddings = whole.embeddings if first == 0 else None
        self.layers = whole.encoder.layer[first:last]
        self.head = torch.nn.Linear(config.hidden_size, CLASSES) if last == given["layers"] else None

    def forward(self, x):
        if self.embeddings is not None:
            x = self.embeddings(x)
        for layer in self.layers:
            x = layer(x)
        return x if self.head is None else self.head(x.mean(1))


def count(model):
    return sum(p.numel() for p in model.parameters())


def leaves(given):
    """Tokens and labels of all leaves of a step, as make_leaves() in perf/scaling/encoder_task.cpp."""
    rows = given["windows"] // given["leaves"]
    elements = rows * given["tokens"]
    return [((torch.arange(leaf * elements, (leaf + 1) * elements) * 7919).remainder(given["vocabulary"]).view(rows, given["tokens"]),
             torch.arange(leaf * rows, (leaf + 1) * rows).remainder(CLASSES)) for leaf in range(given["leaves"])]


def own_leaves(given):
    """Those of this rank."""
    rank, ranks = dist.get_rank(), dist.get_world_size()
    return leaves(given)[rank * given["leaves"] // ranks : (rank + 1) * given["leaves"] // ranks]


def adamw(model):
    return torch.optim.AdamW(model.parameters(), lr=2e-5, weight_decay=0.01, fused=True)


def start():
    torch.set_num_threads(1)
    torch.manual_seed(1)
    dist.init_process_group("gloo")


def time_rounds(given, steps):
    """steps: by way, a function that runs one step and returns this rank's part of the loss. Prints as perf_scaling_step does, parameters aside."""
    found = {way: {"total": [], "loss": []} for way in steps}
    ways = list(steps)
    for number in range(-1, given["rounds"]):  # one to warm up
        for way in ways if number % 2 == 0 else reversed(ways):
            dist.barrier()
            begin = time.perf_counter()
            loss = steps[way]()
            seconds = time.perf_counter() - begin
            if number >= 0:
                found[way]["total"].append(seconds)
                found[way]["loss"].append(loss)
    gathered = [None] * dist.get_world_size()
    dist.all_gather_object(gathered, found)
    return {way: [rank[way] for rank in gathered] for way in ways}


def finish(result):
    if dist.get_rank() == 0:
        print(json.dumps(result))
    dist.destroy_process_group()


def mib_of(file, name):
    for line in pathlib.Path(file).read_text().splitlines():
        if line.startswith(name):
            return int(line[len(name) :].split()[0]) / 1024
    raise LookupError(f"{file} has no line {name}")
