"""BC5CDR and BioRED through `shards build`: texts, mentions, concepts and relations equal those that a few lines of Python read from the source."""

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
CORPORA = {
    "bc5cdr": {"split": "|", "none": {"-1"}, "documents": 1500, "pairs": [3116, 0], "test": "CDR_test", "directed": True},
    "biored": {"split": ",", "none": {"-"}, "documents": 500, "pairs": [5335, 1], "test": "BioRED_dev", "directed": False},
}


def folder_of(name):
    for place in (os.environ.get("TRIBUTARY_DATA"), SOURCE / ".." / "shared" / "data", SOURCE / ".." / ".." / "shared" / "data"):
        if place and (pathlib.Path(place) / name).is_dir():
            return pathlib.Path(place) / name
    return None


def read_source(folder, rule):
    documents = {}
    for path in sorted(folder.glob("*.PubTator.txt.gz")):
        with gzip.open(path, "rt", encoding="utf8", newline="\n") as file:
            for line in file:
                line = line.rstrip("\r\n")
                head = line.split("\t")[0]
                if "|t|" in head:
                    name, title = line.split("|t|", 1)
                    documents[name] = {"title": title, "mentions": set(), "relations": set(), "test": path.name.startswith(rule["test"])}
                elif "|a|" in head:
                    name, abstract = line.split("|a|", 1)
                    documents[name]["text"] = documents[name]["title"] + " " + abstract
                elif line:
                    fields = line.split("\t")
                    document = documents[fields[0]]
                    if fields[1].isdigit():
                        ids = [i.strip() for i in (fields[5] if len(fields) > 5 else "").split(rule["split"])]
                        ids = [i for i in ids if i and i not in rule["none"]] or [None]
                        begin, end = (len(document["text"][: int(at)].encode()) for at in fields[1:3])
                        document["mentions"] |= {(begin, end, fields[4], i) for i in ids}
                    else:
                        document["relations"].add((fields[1], *fields[2:4], fields[4] if len(fields) > 4 else None))
    return documents


def read_shards(directory):
    catalogue = json.loads((directory / "catalogue.json").read_text())
    types, classes = catalogue["schema"]["concept_types"], catalogue["schema"]["tasks"][0]["classes"]
    documents, splits = {}, {}
    for part in catalogue["parts"]:
        with h5py.File(directory / part["file"]) as file:
            get = lambda path: file[path][:]
            ids, id_bytes = get("/record/id/offsets"), get("/record/id/bytes").tobytes()
            notes, text_at, text = get("/notes/offsets"), get("/notes/text_offsets"), get("/notes/text").tobytes()
            concepts, concept_at, concept_ids = get("/concepts/offsets"), get("/concepts/id_offsets"), get("/concepts/ids").tobytes()
            mentions, relations = get("/mentions/offsets"), get("/relations/offsets")
            begin, end, kind, number = (get("/mentions/" + name) for name in ("begin", "end", "type", "concept"))
            token, tokens = get(f"/tokens/{catalogue['tokenizer_digest']}/mentions"), get(f"/tokens/{catalogue['tokenizer_digest']}/offsets")
            head, tail, label, novelty = (get("/relations/" + name) for name in ("head", "tail", "class", "novelty"))
            split = get("/index/split")
            for r in range(len(ids) - 1):
                assert notes[r + 1] - notes[r] == 1
                name = id_bytes[ids[r] : ids[r + 1]].decode()
                own = [concept_ids[concept_at[c] : concept_at[c + 1]].decode() for c in range(concepts[r], concepts[r + 1])]
                assert all(0 <= token[m] < tokens[notes[r] + 1] - tokens[notes[r]] for m in range(mentions[r], mentions[r + 1])), "a mention without a token"
                told = (None, "No", "Novel")
                documents[name] = {
                    "text": text[text_at[notes[r]] : text_at[notes[r] + 1]].decode(),
                    "mentions": {
                        (int(begin[m]), int(end[m]), types[kind[m]], own[number[m]] if number[m] >= 0 else None)
                        for m in range(mentions[r], mentions[r + 1])
                    },
                    "relations": {
                        (classes[label[k]], own[head[k]], own[tail[k]], told[novelty[k]]) for k in range(relations[r], relations[r + 1])
                    },
                }
                splits[name] = int(split[r])
    return catalogue, documents, splits


def comparable(relations, names, directed):
    """Relations of two concepts, without those of a concept with itself; without direction as sorted pairs."""
    return {(names.get(kind, kind), *((a, b) if directed else sorted((a, b))), novelty) for kind, a, b, novelty in relations if a != b}


def check_corpus(name, rule, folder):
    recipe = SOURCE / "shards" / "recipes" / f"{name}.toml"
    expected = read_source(folder, rule)
    with tempfile.TemporaryDirectory() as scratch:
        out = pathlib.Path(scratch) / "shards"
        ranks = ["mpirun", "-n", "2", "--oversubscribe", "--bind-to", "none"]
        built = subprocess.run([*ranks, BINARY, "shards", "build", recipe, "--source", folder, "--out", out], capture_output=True, text=True)
        if built.returncode != 0:
            sys.exit(built.stderr)
        catalogue, found, splits = read_shards(out)
    assert len(found) == len(expected) == rule["documents"], (len(found), len(expected))
    names = {"CID": "induces"} if name == "bc5cdr" else {k: k.replace("_", " ").lower() for k in {r[0] for d in expected.values() for r in d["relations"]}}
    mentions = relations = missing = 0
    for key, document in expected.items():
        assert found[key]["text"].replace("\n", " ") == document["text"].replace("\n", " "), key
        assert found[key]["mentions"] == document["mentions"], key
        wanted, got = comparable(document["relations"], names, rule["directed"]), comparable(found[key]["relations"], {}, rule["directed"])
        assert got <= wanted, key
        missing += len(wanted - got)
        mentions += len(document["mentions"])
        relations += len(got)
        assert (splits[key] == 2) == document["test"], key
    total, left_out = rule["pairs"]
    assert relations == total and missing == left_out, (relations, missing)  # left out: of a gene with a variant, which is no candidate
    counts = catalogue["label_counts"][0]
    assert sum(map(sum, counts["classes"][1:])) == relations
    assert 0.05 < sum(s == 1 for s in splits.values()) / sum(s < 2 for s in splits.values()) < 0.16
    print(f"{name}: {len(found)} documents, {mentions} mentions, {relations} relations as in the source; pairs {counts['valid']}")


def main():
    checked = 0
    for name, rule in CORPORA.items():
        if folder := folder_of(name):
            check_corpus(name, rule, folder)
            checked += 1
    if checked == 0:
        print("no bc5cdr or biored folder; set TRIBUTARY_DATA to the folder that holds them")
        return 77
    return 0


if __name__ == "__main__":
    sys.exit(main())
