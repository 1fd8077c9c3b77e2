"""Holds the source to its architecture: include edges, fences around libraries, lengths of files and functions."""

import os
import pathlib
import re
import sys

SOURCE = pathlib.Path(os.environ.get("TRIBUTARY_SOURCE", pathlib.Path(__file__).resolve().parents[2]))

# Folder -> folders it may include (itself always). Every edge points to an earlier line.
ALLOWED = {
    "base": [],
    "comm": ["base"],
    "shards": ["base", "comm"],
    "ingest": ["base", "comm", "shards"],
    "batches": ["base", "shards", "ingest"],
    "schedule": ["base"],
    "model": ["base", "shards", "batches"],
    "pipeline": ["base", "comm", "batches", "schedule", "model"],
    "optim": ["base", "comm", "model", "pipeline"],
    "checkpoint": ["base", "comm", "shards", "model", "optim"],
    "metrics": ["base", "shards"],
    "train": ["base", "comm", "shards", "ingest", "batches", "schedule", "model", "pipeline", "optim", "checkpoint", "metrics"],
    "app": ["base", "comm", "shards", "ingest", "batches", "schedule", "model", "pipeline", "optim", "checkpoint", "metrics", "train"],
}

# Pattern -> folders or files in which alone it may stand.
FENCES = {
    r'#include\s*[<"](mpi|nccl)\.h': ["comm"],
    r'#include\s*[<"]hdf5\.h': ["shards", "checkpoint"],
    r"#include\s*<boost/(serialization|archive)": ["comm", "checkpoint"],
    r"\bgetenv\s*\(": ["app"],
    r"#include\s*<torch/torch\.h": [],
    r"\bat::dropout\b|\bdropout_p\s*=\s*[1-9]": [],
    r"\bat::(rand|randn|randint|bernoulli|randperm|normal|manual_seed)\b|\.(uniform_|normal_|random_)\(": [],
    r"\.bernoulli_\(": ["model/layers/keep_mask.cpp"],  # from a generator made for the call and seeded by the key
    r"#include\s*<(ATen|c10|torch)/": ["batches", "model", "pipeline", "optim", "checkpoint", "train", "app"],
}


MOST_FILE_LINES, MOST_FUNCTION_LINES = 400, 60
NO_FUNCTION = re.compile(r"\s*(namespace|class|struct|enum|union|extern|template|#|//|\}|public:|private:)")


def long_functions(lines):
    """(line, length) of functions that are too long. Formatted code is known: a function closes with a brace in the column in which it begins."""
    found = []
    for margin in (0, 2):
        begin = None
        for number, line in enumerate(lines, 1):
            indent = len(line) - len(line.lstrip())
            if begin is not None and line == " " * margin + "}":
                if number - begin + 1 > MOST_FUNCTION_LINES:
                    found.append((begin, number - begin + 1))
                begin = None
            elif line.strip() and indent == margin and "(" in line and not NO_FUNCTION.match(line) and not line.endswith((";", "}")):
                begin = number
    return found


def lengths(path, name):
    lines = path.read_text().splitlines()
    faults = [f"{name}: {len(lines)} lines; {MOST_FILE_LINES} at most"] if len(lines) > MOST_FILE_LINES else []
    functions = [] if name.parts[0] == "tests" else long_functions(lines)  # those of tests are tables of cases
    return faults + [f"{name}:{line}: a function of {length} lines; {MOST_FUNCTION_LINES} at most" for line, length in functions]


def main() -> int:
    faults = []
    files = sorted(p for p in (SOURCE / "src").rglob("*") if p.suffix in (".h", ".cpp", ".cu"))
    checked = 0
    for path in files:
        relative = path.relative_to(SOURCE / "src")
        folder = relative.parts[0] if len(relative.parts) > 1 else ""
        text = path.read_text()
        checked += 1
        faults += lengths(path, relative)
        if folder and folder not in ALLOWED:
            faults.append(f"{relative}: folder '{folder}' has no line in {pathlib.Path(__file__).name}")
            continue
        for number, line in enumerate(text.splitlines(), 1):
            match = re.match(r'#include\s*"([a-z_]+)/', line)
            if match and folder and match[1] != folder and match[1] not in ALLOWED[folder]:
                faults.append(f"{relative}:{number}: {folder} may not include {match[1]}")
            for pattern, homes in FENCES.items():
                if folder and folder not in homes and str(relative) not in homes and re.search(pattern, line):
                    faults.append(f"{relative}:{number}: '{line.strip()}' belongs in {homes or 'no folder'}")
    for folder in ("tests", "perf"):
        for path in sorted(p for p in (SOURCE / folder).rglob("*") if p.suffix in (".h", ".cpp")):
            faults += lengths(path, path.relative_to(SOURCE))
    if checked == 0:
        faults.append(f"no source files under {SOURCE / 'src'}")
    print("\n".join(faults) or f"{checked} files keep to the architecture")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
