"""A dictionary made from the training documents' mentions, through a recipe with [entities], against the mentions of BC5CDR's test documents."""

import collections
import csv
import gzip
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import h5py

BINARY = os.environ["TRIBUTARY_BINARY"]
SOURCE = pathlib.Path(os.environ["TRIBUTARY_SOURCE"])
RECIPE = """name = "abstracts"
[time]
hours = 1
[split]
salt = "1"
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
[entities]
dictionary = "terms.tsv"
types = ["Chemical", "Disease"]
"""


def folder_of(name):
    for place in (os.environ.get("TRIBUTARY_DATA"), SOURCE / ".." / "shared" / "data", SOURCE / ".." / ".." / "shared" / "data"):
        if place and (pathlib.Path(place) / name).is_dir():
            return pathlib.Path(place) / name
    return None


def read_pubtator(path):
    documents = {}
    with gzip.open(path, "rt", encoding="utf8") as file:
        for line in file.read().split("\n"):
            head = line.split("\t")[0]
            if "|t|" in head:
                name, title = line.split("|t|", 1)
                documents[name] = [title, []]
            elif "|a|" in head:
                name, abstract = line.split("|a|", 1)
                documents[name][0] += " " + abstract
            elif line.count("\t") >= 5:
                fields = line.split("\t")
                documents[fields[0]][1].append((int(fields[1]), int(fields[2]), fields[3], fields[4], fields[5]))
    return documents


def terms_of(documents):
    """Each spelling with the concept and type that it has most often; spellings without a single concept are left out."""
    counts = collections.defaultdict(collections.Counter)
    for _, mentions in documents.values():
        for _, _, text, kind, concept in mentions:
            if concept != "-1" and "|" not in concept:
                counts[text][(concept, kind)] += 1
    return [(text, *max(sorted(found), key=found.get)) for text, found in sorted(counts.items())]


def found_mentions(directory):
    catalogue = json.loads((directory / "catalogue.json").read_text())
    types, found = catalogue["schema"]["concept_types"], {}
    assert "dictionary" in catalogue["origin"], catalogue["origin"]
    for part in catalogue["parts"]:
        with h5py.File(directory / part["file"]) as file:
            ids, id_bytes = file["/record/id/offsets"][:], file["/record/id/bytes"][:].tobytes()
            concepts, at, names = file["/concepts/offsets"][:], file["/concepts/id_offsets"][:], file["/concepts/ids"][:].tobytes()
            mentions = file["/mentions/offsets"][:]
            begin, end, kind, number = (file["/mentions/" + name][:] for name in ("begin", "end", "type", "concept"))
            for r in range(len(ids) - 1):
                own = [names[at[c] : at[c + 1]].decode() for c in range(concepts[r], concepts[r + 1])]
                found[id_bytes[ids[r] : ids[r + 1]].decode()] = {
                    (int(begin[m]), int(end[m]), types[kind[m]], own[number[m]]) for m in range(mentions[r], mentions[r + 1])
                }
    return found


def scores(expected, found):
    hits = sum(len(expected[key] & found[key]) for key in expected)
    precision, recall = hits / sum(map(len, found.values())), hits / sum(map(len, expected.values()))
    return precision, recall, 2 * precision * recall / (precision + recall)


def main():
    folder = folder_of("bc5cdr")
    if folder is None:
        print("no bc5cdr folder; set TRIBUTARY_DATA to the folder that holds it")
        return 77
    training = read_pubtator(folder / "CDR_train.PubTator.txt.gz") | read_pubtator(folder / "CDR_dev.PubTator.txt.gz")
    test = read_pubtator(folder / "CDR_test.PubTator.txt.gz")
    assert len(training) == 1000 and len(test) == 500
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        with open(scratch / "notes.csv", "w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["id", "text"])
            writer.writerows([key, text] for key, (text, _) in test.items())
        (scratch / "terms.tsv").write_text("".join(f"{text}\t{concept}\t{kind}\n" for text, concept, kind in terms_of(training)))
        (scratch / "recipe.toml").write_text(RECIPE)
        subprocess.run([BINARY, "shards", "build", scratch / "recipe.toml", "--source", scratch, "--out", scratch / "shards"], check=True)
        found = found_mentions(scratch / "shards")
    assert found.keys() == test.keys()
    for key, (text, _) in test.items():
        assert text.isascii() and all(0 <= begin < end <= len(text) for begin, end, _, _ in found[key]), key
    spans = scores({k: {m[:2] + (m[3],) for m in v[1]} for k, v in test.items()}, {k: {m[:3] for m in v} for k, v in found.items()})
    named = scores({k: {m[:2] + (m[3], m[4]) for m in v[1] if m[4] != "-1" and "|" not in m[4]} for k, v in test.items()}, found)
    concepts = scores({k: {c for m in v[1] for c in m[4].split("|") if c != "-1"} for k, v in test.items()}, {k: {m[3] for m in v} for k, v in found.items()})
    for what, (precision, recall, f1) in {"mentions": spans, "mentions with their concept": named, "concepts of a document": concepts}.items():
        print(f"{what}: precision {precision:.3f}, recall {recall:.3f}, F1 {f1:.3f}")
    # Below these somebody has broken a rule; the figures themselves stand in perf/results.
    assert spans[2] > 0.6 and named[2] > 0.6 and concepts[2] > 0.6
    return 0


if __name__ == "__main__":
    sys.exit(main())
