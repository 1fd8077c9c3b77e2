"""Writes text_mlm.safetensors: a small random BertForMaskedLM of transformers, token windows with places to tell, its loss, what it says of each place and the
gradients of all parameters, in double.

Run in the peers environment; with --check the stored values are compared with new ones.
"""

import pathlib
import sys

import numpy
import safetensors.numpy
import torch
import transformers

FILE = pathlib.Path(__file__).with_name("text_mlm.safetensors")
LENGTHS = [9, 2, 14]
PLACES = [(0, 1), (0, 7), (2, 3), (2, 4), (2, 12)]  # window and place in it; not a [CLS] or [SEP]
CONFIG = dict(vocab_size=30, hidden_size=12, num_hidden_layers=1, num_attention_heads=3, intermediate_size=20, max_position_embeddings=16, layer_norm_eps=1e-12)


def compute():
    random = numpy.random.default_rng(23)
    model = transformers.BertForMaskedLM(transformers.BertConfig(**CONFIG, attn_implementation="eager")).double().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            values = random.standard_normal(parameter.shape) * (0.4 if parameter.dim() > 1 else 0.2)
            parameter.copy_(torch.from_numpy(values.astype(numpy.float32).astype(numpy.float64)))
    # not token 0: padding, whose embedding transformers gives no gradient
    ids = random.integers(1, CONFIG["vocab_size"], (len(LENGTHS), max(LENGTHS)))
    tokens = random.integers(0, CONFIG["vocab_size"], len(PLACES))
    mask = torch.arange(ids.shape[1])[None, :] < torch.tensor(LENGTHS)[:, None]
    with torch.no_grad():  # two of the places are told
        first = model(input_ids=torch.from_numpy(ids), attention_mask=mask.long()).logits
        for number in (1, 3):
            tokens[number] = int(first[PLACES[number]].argmax())
    labels = torch.full(ids.shape, -100)
    for (window, place), token in zip(PLACES, tokens):
        labels[window, place] = int(token)
    found = model(input_ids=torch.from_numpy(ids), attention_mask=mask.long(), labels=labels)
    found.loss.backward()
    rows = torch.stack([found.logits[window, place] for window, place in PLACES]).detach()
    told = torch.log_softmax(rows, 1)[torch.arange(len(PLACES)), torch.from_numpy(tokens)]
    tensors = {
        "ids": ids, "lengths": numpy.array(LENGTHS), "tokens": tokens, "positions": numpy.array([window * ids.shape[1] + place for window, place in PLACES]),
        "loss": found.loss.detach().reshape(1).numpy(), "told": torch.stack([-told, (rows.argmax(1) == torch.from_numpy(tokens)).double()], 1).numpy(),
    }
    named = dict(model.named_parameters())  # shared ones once: the decoder's weight is that of the word embeddings
    assert not any("decoder" in name for name in named), sorted(named)
    for name, parameter in named.items():
        tensors[f"weight.{name}"] = parameter.detach().float().numpy()
        tensors[f"gradient.{name}"] = parameter.grad.numpy()
    return tensors


def main():
    tensors = compute()
    if "--check" not in sys.argv:
        safetensors.numpy.save_file(tensors, FILE)
        return
    stored = safetensors.numpy.load_file(FILE)
    assert stored.keys() == tensors.keys() and len(stored) > 50, len(stored)
    worst = max(float(numpy.abs(stored[name] - tensors[name]).max()) for name in stored)
    print(f"{len(stored)} tensors, largest difference {worst:.2e}")
    assert worst < 1e-11, worst


if __name__ == "__main__":
    main()
