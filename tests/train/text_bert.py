"""text_bert on a data set with concepts: equal bits on 1 to 4 ranks and in pipelines, with leaves by records and by tokens, across a resume, and with the frozen
encoder's vectors read from a cache; predictions of every candidate pair; export; what it refuses."""

import json
import pathlib
import subprocess
import sys
import tempfile

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parents[1] / folder) for folder in ("fault", "metrics")]
from recompute import compare  # noqa: E402
from runs import BINARY, Run, expect_equal  # noqa: E402
from tokens_mode import TASK, WRITER, check_predictions, run_on  # noqa: E402

MARKERS = [f"[unused{k}]" for k in (1, 2, 3, 4)]
SETTINGS = ["model.family=text_bert", f"heads.tasks=['{TASK}']", "data.window_tokens=24", "data.window_stride=16", "data.negatives=2", "train.steps=6",
            "train.evaluate_every=3", "optim.learning_rate=5e-3"]
FROZEN = [*SETTINGS, "text.freeze=all"]


def segments(cache: pathlib.Path) -> dict[str, bytes]:
    (folder,) = [entry for entry in cache.iterdir() if entry.is_dir()]
    return {file.name: file.read_bytes() for file in sorted(folder.iterdir())}


def encoded(run: Run) -> int:
    """How many segments the run computed, as its log says."""
    line = [line for line in run.log().splitlines() if "pair cache" in line][-1]
    return int(line.split(" segments, ")[1].split()[0])


def evaluate(run: Run, shards: pathlib.Path, ranks: int) -> tuple[pathlib.Path, bool]:
    out = run.folder / f"all-{ranks}"
    done = run_on(ranks, BINARY, "evaluate", "--checkpoint", str(run.folder / "best"), "--shards", str(shards), "--split", "all", "--out", str(out))
    assert done.returncode == 0, done.stderr
    return out, "pair cache" in done.stderr


def fine_tuned(folder: pathlib.Path, shards: pathlib.Path) -> None:
    def trained(name: str, ranks: int, *settings: str) -> Run:
        run = Run(folder, name, shards)
        assert run.train(ranks, *SETTINGS, *settings) == 0, run.log()
        return run

    one = trained("one", 1)
    for ranks in (2, 3, 4):
        expect_equal(trained(f"ranks{ranks}", ranks), one, 6)
    expect_equal(trained("pipeline", 2, "parallel.pipeline=2", "parallel.schedule=zb_h1", "parallel.recompute=all"), one, 6)
    expect_equal(trained("grid", 4, "parallel.pipeline=2", "parallel.schedule=gpipe"), one, 6)
    assert {s["leaves"] for s in one.steps()} == {7} and all(set(s["task_losses"]) == {TASK} for s in one.steps())
    tokens = "train.micro_batch_tokens=700"
    packed, resumed = trained("packed", 1, tokens), Run(folder, "resumed", shards)
    assert resumed.train(1, *SETTINGS, tokens, "run.max_time=0s") == 75, resumed.log()
    assert resumed.train(3, *SETTINGS, tokens) == 0, resumed.log()
    expect_equal(resumed, packed, 6)
    assert len({s["leaves"] for s in packed.steps()}) > 1 and [s["records"] for s in packed.steps()] == [s["records"] for s in one.steps()]

    (first, _), (three, _) = evaluate(one, shards, 1), evaluate(one, shards, 3)
    assert (first / "predictions.csv").read_text() == (three / "predictions.csv").read_text(), "predictions depend on the number of ranks"
    check_predictions(first, shards)
    compared = compare(first / "predictions.csv", first / "metrics.json")
    assert not compared.faults and compared.count > 30, "\n".join(compared.faults)
    chosen = json.loads((one.folder / "best" / "manifest.json").read_text())["extra"]["validation"]["metrics"]["tasks"][TASK]["best_threshold"]
    assert json.loads((first / "metrics.json").read_text())["tasks"][TASK]["at_threshold"]["threshold"] == chosen
    exported(folder / "model", one, chosen)


def exported(out: pathlib.Path, run: Run, threshold: float) -> None:
    from safetensors.numpy import load_file

    done = run_on(1, BINARY, "export", "--checkpoint", str(run.folder / "best"), "--out", str(out))
    assert done.returncode == 0, done.stderr
    config, document = (json.loads((out / name).read_text()) for name in ("config.json", "preprocessing.json"))
    assert config["architecture"]["model"]["family"] == "text_bert" and config["tasks"][0]["threshold"] == threshold
    assert document["pairs"]["task"] == TASK and document["pairs"]["head_markers"] + document["pairs"]["tail_markers"] == MARKERS
    model, encoder = load_file(out / "model.safetensors"), load_file(out / "encoder" / "model.safetensors")
    assert {"relation.out.weight", "relation.out.bias"} == {name for name in model if not name.startswith("encoder.")}
    assert len(encoder) == len(model) - 2 and all((model["encoder." + name] == value).all() for name, value in encoder.items())
    vocabulary = (out / "vocab.txt").read_text().splitlines()
    assert vocabulary[-4:] == MARKERS and encoder["embeddings.word_embeddings.weight"].shape[0] == len(vocabulary)


def cached(folder: pathlib.Path, shards: pathlib.Path) -> None:
    cache = f"text.cache={folder / 'cache'}"
    off = Run(folder, "off", shards)
    assert off.train(1, *FROZEN) == 0, off.log()
    three = Run(folder, "three", shards)
    assert three.train(3, *FROZEN, cache) == 0, three.log()
    expect_equal(three, off, 6)
    piped = Run(folder, "piped", shards)
    assert piped.train(2, *FROZEN, cache, "parallel.pipeline=2") == 0, piped.log()
    expect_equal(piped, off, 6)
    built = segments(folder / "cache")
    assert encoded(three) == len(built) > 20, (encoded(three), len(built))
    # Cut off and damaged, on another number of ranks, with a resume.
    names = list(built)
    (place,) = (folder / "cache").iterdir()
    (place / names[1]).unlink()
    (place / names[4]).write_bytes(built[names[4]][:-9])
    again = Run(folder, "again", shards)
    assert again.train(2, *FROZEN, cache, "run.max_time=0s") == 75, again.log()
    assert encoded(again) == 2 and segments(folder / "cache") == built, again.log()
    assert again.train(2, *FROZEN, cache) == 0 and encoded(again) == 0, again.log()
    expect_equal(again, off, 6)
    (read, used), (run, unused) = evaluate(three, shards, 1), evaluate(off, shards, 2)
    assert used and not unused and (read / "predictions.csv").read_text() == (run / "predictions.csv").read_text()
    check_predictions(read, shards)


def refused(folder: pathlib.Path) -> None:
    plain = folder / "plain"
    assert run_on(1, str(WRITER), str(plain)).returncode == 0
    lacking = Run(folder, "lacking", plain)
    assert lacking.train(2, *SETTINGS) == 64 and 'found no "[unused1]"' in lacking.log() and "shards retokenize" in lacking.log(), lacking.log()
    # What the message says helps; a trained vocabulary has words of several pieces.
    vocabulary = folder / "vocabulary" / "vocab.txt"
    made = run_on(1, BINARY, "shards", "vocab", "train", "--shards", str(plain), "--out", str(vocabulary), "--size", "130")
    assert made.returncode == 0, made.stderr
    assert vocabulary.read_text().splitlines()[5:9] == MARKERS
    again = run_on(1, BINARY, "shards", "retokenize", str(plain), "--tokenizer", str(vocabulary))
    assert again.returncode == 0, again.stderr
    helped = Run(folder, "helped", plain)
    assert helped.train(1, *SETTINGS, "train.steps=1") == 0, helped.log()
    wrong = Run(folder, "wrong", plain)
    assert wrong.train(1, *SETTINGS, "heads.tasks=['diagnosis']") == 64 and "'diagnosis' is none" in wrong.log(), wrong.log()


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        shards = folder / "shards"
        written = run_on(1, str(WRITER), str(shards), *MARKERS)
        assert written.returncode == 0, written.stderr
        fine_tuned(folder, shards)
        cached(folder, shards)
        refused(folder)


if __name__ == "__main__":
    sys.exit(main())
