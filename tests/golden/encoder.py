"""Writes encoder.safetensors: a small random BertModel of transformers, token windows, its last hidden state and the gradients of all parameters, in double.

Run in the peers environment; with --check the stored values are compared with new ones.
"""

import pathlib
import sys

import numpy
import safetensors.numpy
import torch
import transformers

FILE = pathlib.Path(__file__).with_name("encoder.safetensors")
LENGTHS = [9, 2, 20, 13]
CONFIG = dict(vocab_size=30, hidden_size=16, num_hidden_layers=2, num_attention_heads=4, intermediate_size=24, max_position_embeddings=20, layer_norm_eps=1e-12)


def compute():
    random = numpy.random.default_rng(11)
    model = transformers.BertModel(transformers.BertConfig(**CONFIG, attn_implementation="eager"), add_pooling_layer=False).double().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            values = random.standard_normal(parameter.shape) * (0.4 if parameter.dim() > 1 else 0.2)
            parameter.copy_(torch.from_numpy(values.astype(numpy.float32).astype(numpy.float64)))
    # not token 0: padding, whose embedding transformers gives no gradient
    ids = random.integers(1, CONFIG["vocab_size"], (len(LENGTHS), max(LENGTHS)))
    upstream = random.standard_normal((sum(LENGTHS), CONFIG["hidden_size"]))
    mask = torch.arange(ids.shape[1])[None, :] < torch.tensor(LENGTHS)[:, None]
    hidden = model(input_ids=torch.from_numpy(ids), attention_mask=mask.long()).last_hidden_state[mask]
    (hidden * torch.from_numpy(upstream)).sum().backward()
    tensors = {"ids": ids, "lengths": numpy.array(LENGTHS), "upstream": upstream, "hidden": hidden.detach().numpy()}
    for name, parameter in model.named_parameters():
        tensors[f"weight.{name}"] = parameter.detach().float().numpy()
        tensors[f"gradient.{name}"] = parameter.grad.numpy()
    return tensors


def main():
    tensors = compute()
    if "--check" not in sys.argv:
        safetensors.numpy.save_file(tensors, FILE)
        return
    stored = safetensors.numpy.load_file(FILE)
    assert stored.keys() == tensors.keys() and len(stored) > 70, len(stored)
    worst = max(float(numpy.abs(stored[name] - tensors[name]).max()) for name in stored)
    print(f"{len(stored)} tensors, largest difference {worst:.2e}")
    assert worst < 1e-11, worst


if __name__ == "__main__":
    main()
