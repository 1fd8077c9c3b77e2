"""Raw text as a data set without tasks: made-up notes in a table, a recipe, shards; and runs of text_mlm on it."""

import csv
import pathlib
import random
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "fault"))
from runs import BINARY  # noqa: E402

RECIPE = """
name = "raw-notes"
max_bad_rows = 0
[time]
hours = 1
[split]
salt = "1"
train = 0.7
validation = 0.15
[text]
vocabulary_size = 150
[sample]
table = "notes"
patient = "id"
[table.notes]
files = ["notes.csv"]
record = "id"
[[note]]
table = "notes"
text = "text"
as_is = true
"""
SETTINGS = ("model.family=text_mlm", "train.evaluate_every=4", "optim.learning_rate=5e-3", "data.window_stride=40")


def tributary(*arguments: object, code: int = 0) -> subprocess.CompletedProcess:
    done = subprocess.run([BINARY, *map(str, arguments)], capture_output=True, text=True, timeout=250)
    assert done.returncode == code, (arguments, done.returncode, done.stdout, done.stderr)
    return done


def make_raw_shards(folder: pathlib.Path, records: int) -> pathlib.Path:
    """Sentences of a few words that follow each other; a third of the notes is longer than a window, some have one word."""
    draw = random.Random(5)
    source = folder / "source"
    source.mkdir()
    words = ["".join(draw.choice("bcdfglmnprst") + draw.choice("aeiou") for _ in range(draw.randint(1, 3))) for _ in range(60)]
    with open(source / "notes.csv", "w", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(["id", "text"])
        for record in range(records):
            sentences = draw.choice([0, 3, 25])
            text = " ".join(" ".join(words[(start + 7 * i) % 60] for i in range(draw.randint(2, 6))) + "." for start in draw.sample(range(60), sentences)) or words[0]
            table.writerow([record, text])
    recipe = folder / "recipe.toml"
    recipe.write_text(RECIPE)
    shards = folder / "raw-shards"
    tributary("shards", "build", recipe, "--source", source, "--out", shards)
    return shards
