"""Writes tables.cpp and decompositions.cpp beside itself: the character properties by which Hugging Face's `tokenizers` normalises and splits text.

    .deps/python-tests/bin/python src/ingest/unicode/make_tables.py

That package draws on three versions of Unicode: general categories of 8.0, decompositions of 9.0, lower case of 17.0. Which characters have a property
is therefore asked of the installed package, one code point at a time. Decompositions and combining classes never change once assigned (Unicode's stability
policy), so combining classes are those of Python's own tables, for the characters that the package reorders.
"""

import pathlib
import sys
import unicodedata

import tokenizers
from tokenizers import normalizers, pre_tokenizers

CODE_POINTS = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
HANGUL = range(0xAC00, 0xD7A4)
LATEST_MARK = "\u0345"  # combining class 240, the highest: what follows it and moves before it has a class of its own
WIDTH = 158


def ranges(members: list[int]) -> list[tuple[int, int]]:
    result: list[list[int]] = []
    for c in members:
        if result and c == result[-1][1] + 1:
            result[-1][1] = c
        else:
            result.append([c, c])
    return [(first, last) for first, last in result]


def lower_ranges(pairs: list[tuple[int, int]]) -> list[tuple[int, int, int, int]]:
    """Characters at equal steps of 1 or 2 with an equal difference to their lower case."""
    result: list[list[int]] = []
    for c, lower in pairs:
        last = result[-1] if result else None
        step = c - last[1] if last else 0
        if last and last[3] == lower - c and step in (1, 2) and (last[0] == last[1] or last[2] == step):
            last[1], last[2] = c, step
        else:
            result.append([c, c, 1, lower - c])
    return [tuple(entry) for entry in result]


def lines(items: list[str]) -> str:
    text, line = "", "   "
    for item in items:
        if len(line) + len(item) + 2 > WIDTH:
            text, line = text + line + "\n", "   "
        line += " " + item + ","
    return text + line + "\n"


def table(kind: str, name: str, items: list[str]) -> str:
    return f"constexpr {kind} {name}_table[] = {{\n{lines(items)}}};\n"


def main() -> int:
    cleaning = normalizers.BertNormalizer(clean_text=True, handle_chinese_chars=False, strip_accents=False, lowercase=False)
    stripping = normalizers.BertNormalizer(clean_text=False, handle_chinese_chars=False, strip_accents=True, lowercase=False)
    lowering, decomposing, splitting = normalizers.Lowercase(), normalizers.NFD(), pre_tokenizers.BertPreTokenizer()
    removed, white, punctuation, nonspacing, lower, classes, decompositions = [], [], [], [], [], [], []
    for c in CODE_POINTS:
        char = chr(c)
        words = len(splitting.pre_tokenize_str("a" + char + "a"))
        white += [c] * (words == 2)
        punctuation += [c] * (words == 3)
        removed += [c] * (cleaning.normalize_str(char) == "")
        nonspacing += [c] * (stripping.normalize_str(char) == "" and decomposing.normalize_str(char) == char)
        if (small := lowering.normalize_str(char)) != char and c != 0x130:
            assert len(small) == 1, f"U+{c:04X} has several lower-case characters"
            lower.append((c, ord(small)))
        if (parts := decomposing.normalize_str(char)) != char and c not in HANGUL:
            assert len(parts) <= 4
            decompositions += [c, len(parts), *map(ord, parts)]
        elif char == LATEST_MARK or decomposing.normalize_str("a" + LATEST_MARK + char) == "a" + char + LATEST_MARK:
            classes.append((c, unicodedata.combining(char)))
    assert all(0 < number <= 240 for _, number in classes)
    class_ranges = [(first, last, number) for number in {n for _, n in classes} for first, last in ranges([c for c, n in classes if n == number])]

    tables = [table("Range", name, [f"{{{first:#x}, {last:#x}}}" for first, last in ranges(members)])
              for name, members in (("removed", removed), ("white_space", white), ("punctuation", punctuation), ("nonspacing", nonspacing))]
    tables.append(table("LowerRange", "lower", [f"{{{a:#x}, {b:#x}, {step}, {delta}}}" for a, b, step, delta in lower_ranges(lower)]))
    tables.append(table("ClassRange", "class", [f"{{{first:#x}, {last:#x}, {number}}}" for first, last, number in sorted(class_ranges)]))
    spans = [("Range", "removed_ranges", "removed"), ("Range", "white_space_ranges", "white_space"), ("Range", "punctuation_ranges", "punctuation"),
             ("Range", "nonspacing_ranges", "nonspacing"), ("LowerRange", "lower_ranges", "lower"), ("ClassRange", "class_ranges", "class")]
    write("tables.cpp", tables, spans)
    write("decompositions.cpp", [table("char32_t", "decomposition", [f"{number:#x}" for number in decompositions])],
          [("char32_t", "decompositions", "decomposition")])
    return 0


def write(file: str, tables: list[str], spans: list[tuple[str, str, str]]) -> None:
    functions = "".join(f"std::span<const {kind}> {function}() {{ return {name}_table; }}\n" for kind, function, name in spans)
    pathlib.Path(__file__).with_name(file).write_text(
        f"// Made by make_tables.py from tokenizers {tokenizers.__version__} (general categories of Unicode 8.0, decompositions of 9.0, lower case of 17.0).\n"
        '#include "ingest/unicode/tables.h"\n\n// clang-format off\nnamespace tributary::unicode {\nnamespace {\n\n' + "\n".join(tables)
        + "\n}  // namespace\n\n" + functions + "\n}  // namespace tributary::unicode\n")


if __name__ == "__main__":
    sys.exit(main())
