"""Reads a data set with h5py, following shards/FORMAT.md alone, and recomputes every digest in it."""

import hashlib
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import h5py
import numpy as np

BINARY = os.environ["TRIBUTARY_BINARY"]
WRITER = pathlib.Path(BINARY).parent / "tests" / "write_random_set"
compared = 0


def equal(found, expected, what):
    global compared
    compared += 1
    if found != expected:
        sys.exit(f"{what}: found {found!r}, expected {expected!r}")


def sha(data):
    return hashlib.sha256(data)


def owner_ranges(part, path, first, last):
    """Range of elements of a dataset that belong to rows [first, last)."""
    def through(offsets, begin, end):
        return int(part[offsets][begin]), int(part[offsets][end])

    name = path.rsplit("/", 1)[1]
    if path == "/record/id/bytes":
        return through("/record/id/offsets", first, last)
    if path.split("/")[1] in ("concepts", "mentions", "relations") or path.startswith("/tokens/") and name == "mentions":
        group = "/" + path.split("/")[1] if not path.startswith("/tokens/") else "/mentions"
        if path == group + "/offsets":
            return first, last
        items = through(group + "/offsets", first, last)
        return through("/concepts/id_offsets", *items) if path == "/concepts/ids" else items
    if path.startswith("/notes/") or path.startswith("/tokens/"):
        if path == "/notes/offsets":
            return first, last
        notes = through("/notes/offsets", first, last)
        if path in ("/notes/hour", "/notes/text_offsets") or name == "offsets":
            return notes
        return through("/notes/text_offsets" if path == "/notes/text" else path.rsplit("/", 1)[0] + "/offsets", *notes)
    return first, last


def dataset_digest(part, path, rows, chunk_rows):
    data = part[path]
    is_offsets = path.endswith("offsets")
    blocks = b""
    for first in range(0, rows, chunk_rows):
        begin, end = owner_ranges(part, path, first, min(first + chunk_rows, rows))
        values = data[begin : end + 1] if is_offsets else data[begin:end]
        if is_offsets:
            values = np.diff(values).astype("<i8")
        blocks += sha(np.ascontiguousarray(values).tobytes()).digest()
    return sha(blocks).hexdigest()


def paths_of(part):
    found = []
    part.visititems(lambda name, item: found.append("/" + name) if isinstance(item, h5py.Dataset) else None)
    return sorted(found, key=lambda p: p.encode())


def check_file(path, info):
    raw = path.read_bytes()
    equal(len(raw), info["size_bytes"], f"{path.name} size")
    blocks = [sha(raw[i : i + (16 << 20)]).digest() for i in range(0, len(raw), 16 << 20)]
    equal([b.hex() for b in blocks], info["block_digests"], f"{path.name} blocks")
    equal(sha(b"".join(blocks)).hexdigest(), info["file_digest"], f"{path.name} root")


def check_part(path, number, info, catalogue):
    check_file(path, info)
    with h5py.File(path, "r") as part:
        rows = sum(info["rows"])
        equal(bytes(part.attrs["format"]).decode(), "tributary-shard", "format")
        equal([int(part.attrs[k]) for k in ("format_version", "part", "rows", "chunk_rows")], [1, number, rows, catalogue["chunk_rows"]], "attributes")
        paths = paths_of(part)
        equal(paths, [f["path"] for f in catalogue["fields"]], "fields")
        for field in catalogue["fields"]:
            data = part[field["path"]]
            equal(str(data.dtype), field["dtype"], field["path"] + " dtype")
            equal(list(data.shape[1:]), field["shape"][1:], field["path"] + " shape")
            equal(bool(data.fletcher32) or data.size == 0 or data.chunks is None, True, field["path"] + " checksum")
        digests = [dataset_digest(part, p, rows, catalogue["chunk_rows"]) for p in paths]
        for p, digest in zip(paths, digests):
            equal(bytes(part[p].attrs["content_digest"]).decode(), digest, p + " content digest")
        equal(list(np.bincount(part["/index/split"][:], minlength=3)), info["rows"], "rows of splits")
        check_records(part, rows, catalogue)
        lines = "".join(f"{p} {d}\n" for p, d in zip(paths, digests))
        return sha(lines.encode()).hexdigest()


def check_records(part, rows, catalogue):
    """The index follows from the records; texts and ids are UTF-8."""
    notes, tokens = part["/notes/offsets"][:], part[f"/tokens/{catalogue['tokenizer_digest']}/offsets"][:]
    text_offsets, text = part["/notes/text_offsets"][:], part["/notes/text"][:].tobytes()
    ids, id_bytes = part["/record/id/offsets"][:], part["/record/id/bytes"][:].tobytes()
    names = [id_bytes[ids[r] : ids[r + 1]].decode() for r in range(rows)]
    equal(len(set(names)), rows, "ids")
    for r in range(rows):
        lengths = np.diff(tokens)[notes[r] : notes[r + 1]]
        equal(int(part["/index/notes"][r]), int(notes[r + 1] - notes[r]), "notes of a row")
        equal(int(part["/index/tokens"][r]), int(lengths.sum()), "tokens of a row")
        equal(int(part["/index/longest_note"][r]), int(lengths.max(initial=0)), "longest note of a row")
    valid = sum(part[f"/labels/{task['name']}/valid"][:].astype("u8") << t for t, task in enumerate(catalogue["schema"]["tasks"]))
    equal(valid.tolist(), part["/index/labels_valid"][:].tolist(), "labels_valid")
    for n in range(len(text_offsets) - 1):
        text[text_offsets[n] : text_offsets[n + 1]].decode()


def check_entities(part, rows, catalogue):
    """Mentions lie in their notes, relations are candidates, the index counts them; class 0 is what is not told."""
    schema = catalogue["schema"]
    get = lambda path: part[path][:]
    concepts, mentions, relations = get("/concepts/offsets"), get("/mentions/offsets"), get("/relations/offsets")
    types, ids, id_bytes = get("/concepts/type"), get("/concepts/id_offsets"), get("/concepts/ids").tobytes()
    notes, text_offsets, text = get("/notes/offsets"), get("/notes/text_offsets"), get("/notes/text").tobytes()
    tokens, token_of = get(f"/tokens/{catalogue['tokenizer_digest']}/offsets"), get(f"/tokens/{catalogue['tokenizer_digest']}/mentions")
    note, begin, end, concept_of = (get("/mentions/" + name) for name in ("note", "begin", "end", "concept"))
    task_of, head, tail, class_of = (get("/relations/" + name) for name in ("task", "head", "tail", "class"))
    tasks = [(number, task) for number, task in enumerate(schema["tasks"]) if task["kind"] == "relation"]
    classes = {number: np.zeros((len(task["classes"]), 3), int) for number, task in tasks}
    split = get("/index/split")
    words = 0
    for r in range(rows):
        own = types[concepts[r] : concepts[r + 1]]
        names = [id_bytes[ids[c] : ids[c + 1]].decode() for c in range(concepts[r], concepts[r + 1])]
        equal(len(set(names)), len(own), "concept ids")
        equal(int(part["/index/concepts"][r]), len(own), "concepts of a row")
        equal(int(part["/index/mentions"][r]), int(mentions[r + 1] - mentions[r]), "mentions of a row")
        for m in range(mentions[r], mentions[r + 1]):
            n = notes[r] + note[m]
            said = text[text_offsets[n] : text_offsets[n + 1]][begin[m] : end[m]].decode()
            equal(len(said.split(" ")) in (1, 2) and 0 <= token_of[m] < tokens[n + 1] - tokens[n], True, "mention")
            words += concept_of[m] >= 0
        for column, (number, task) in enumerate(tasks):
            def candidate(h, t):
                same = own[h] == own[t]
                return h != t and [own[h], own[t]] in task["candidates"] and (task["directed"] or not same or h < t)
            pairs = sum(candidate(h, t) for h in range(len(own)) for t in range(len(own)))
            told = [k for k in range(relations[r], relations[r + 1]) if task_of[k] == number]
            equal((int(part["/index/pairs"][r][column]), int(part["/index/related"][r][column])), (pairs, len(told)), "pairs of a row")
            equal(all(candidate(head[k], tail[k]) for k in told), True, "relations are candidates")
            if part[f"/labels/{task['name']}/valid"][r]:
                classes[number][0][split[r]] += pairs - len(told)
                for k in told:
                    classes[number][class_of[k]][split[r]] += 1
    equal(words > rows // 2, True, "enough mentions")
    return classes


def check_label_counts(found, catalogue):
    for number, counts in found.items():
        equal(catalogue["label_counts"][number]["classes"], counts.tolist(), "label counts of a relation task")
        equal(catalogue["label_counts"][number]["valid"], counts.sum(0).tolist(), "pairs of a relation task")


def check_normalisation(parts, catalogue):
    for g, group in enumerate(catalogue["schema"]["series"]):
        path = f"/series/{group['name']}"
        values, observed = [], []
        for part, info in parts:
            with h5py.File(part, "r") as file:
                values.append(file[path + "/values"][: info["rows"][0]])
                observed.append(file[path + "/observed"][: info["rows"][0]])
        values, observed = np.concatenate(values).astype("f8"), np.concatenate(observed).astype(bool)
        for c, told in enumerate(catalogue["normalisation"]["series"][g]):
            seen = values[..., c][observed[..., c]]
            equal(len(seen), told["count"], "count")
            equal(bool(np.isclose(seen.mean(), told["mean"], rtol=1e-12) and np.isclose(seen.std(), told["deviation"], rtol=1e-12)), True, "moments")


def check_set(directory):
    document = (directory / "catalogue.json").read_text()
    catalogue = json.loads(document)
    equal((catalogue["format"], catalogue["format_version"]), ("tributary-shards", 1), "format")
    equal(sha(document.replace(catalogue["self_digest"], "0" * 64).encode()).hexdigest(), catalogue["self_digest"], "self digest")
    equal(sha((directory / catalogue["vocabulary"]["file"]).read_bytes()).hexdigest(), catalogue["vocabulary"]["sha256"], "vocabulary")
    parts = [(directory / info["file"], info) for info in catalogue["parts"]]
    digests = [check_part(path, p, info, catalogue) for p, (path, info) in enumerate(parts)]
    for digest, (_, info) in zip(digests, parts):
        equal(digest, info["content_digest"], "content digest of a part")
    equal(sha("".join(f"{p} {d}\n" for p, d in enumerate(digests)).encode()).hexdigest(), catalogue["content_digest"], "content digest")
    check_normalisation(parts, catalogue)
    found = {}
    for path, info in parts:
        with h5py.File(path, "r") as part:
            for number, counts in check_entities(part, sum(info["rows"]), catalogue).items():
                found[number] = found.get(number, 0) + counts
    check_label_counts(found, catalogue)
    return catalogue["content_digest"]


def main():
    with tempfile.TemporaryDirectory() as folder:
        digests = []
        for ranks in (1, 3):
            directory = pathlib.Path(folder) / f"set-{ranks}"
            subprocess.run(["mpirun", "-n", str(ranks), "--oversubscribe", "--bind-to", "none", str(WRITER), str(directory)], check=True)
            digests.append(check_set(directory))
            told = subprocess.run([BINARY, "shards", "verify", str(directory)], check=True, capture_output=True, text=True).stdout
            equal(digests[-1] in told, True, "shards verify tells the digest")
            told = subprocess.run([BINARY, "shards", "inspect", str(directory)], check=True, capture_output=True, text=True).stdout
            for word in ("heart_rate", "mmHg", "diagnosis (multiclass)", "longest", "missing%", "drug, disease, gene", "causes (relation)", digests[-1]):
                equal(word in told, True, f"shards inspect says '{word}'")
        equal(digests[0], digests[1], "one rank against three")
        part = pathlib.Path(folder) / "set-3" / "part-00000.h5"
        raw = bytearray(part.read_bytes())
        raw[len(raw) // 2] ^= 4
        part.write_bytes(raw)
        verify = subprocess.run([BINARY, "shards", "verify", str(part.parent)], capture_output=True, text=True)
        equal(verify.returncode, 65, "exit code of verify on a damaged part")
        equal("part-00000.h5: block 0" in verify.stdout, True, "verify names the block")
    print(f"{compared} values compared")


if __name__ == "__main__":
    main()
