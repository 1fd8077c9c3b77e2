"""The tokenizer gives the ids of Hugging Face's lower-case BertWordPieceTokenizer on ASCII text: clinical prose and random bytes below 128."""

import pathlib
import random
import subprocess
import sys
import tempfile

from tokenizers import BertWordPieceTokenizer

PROSE = """Pt is a 67 yo M w/ h/o COPD, CHF (EF 25-30%), and T2DM admitted for acute-on-chronic hypoxic respiratory failure.
Remains intubated & sedated on propofol 25 mcg/kg/min; RASS -2. Vent: AC/VC, TV 450 mL, PEEP 8, FiO2 0.5 -> PaO2 74.
BP 92/48 (MAP 63) on norepinephrine 0.12 mcg/kg/min!! Lactate 4.1 --> 2.8. WBC 18.4, Cr 2.3 (baseline ~1.1).

Assessment/Plan:
1) Septic shock d/t LLL pneumonia: cont. vancomycin + piperacillin-tazobactam (day #3), f/u cultures...
2) AKI; avoid nephrotoxins. UOP 15-20 mL/hr. "Foley in place." Dr. O'Neil aware @ 06:30.
3) Hyperglycemia: insulin gtt @ 4 units/hr, q1h FS; goal 140-180 mg/dL.
\tFamily meeting scheduled; code status: DNR/DNI? No. Full code.\r\n
Thrombocytopenia (plt 71K) - HIT panel sent, argatroban held; electroencephalographically unremarkable."""


def texts() -> list[str]:
    source = random.Random(5)
    words = PROSE.split()
    result = [PROSE, "", " ", "\n\n", "a" * 100, "a" * 101, "A" * 99 + " b"]
    for _ in range(1500):
        result.append("".join(source.choice(words) + source.choice([" ", " ", " ", "  ", "\n", "\n\n", "\t", ""]) for _ in range(source.randrange(1, 40))))
    for _ in range(1500):
        result.append("".join(chr(source.randrange(1, 128)) for _ in range(source.randrange(1, 120))))
    return result


def main() -> int:
    helper = sys.argv[1]
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    pieces += [chr(c) for c in range(33, 127) if not chr(c).isupper() and chr(c) not in "~z"]  # lacking some, so that [UNK] occurs
    pieces += ["##" + c for c in "abcdefghijklmnopqrstuvwx0123456789"]
    words = sorted({"".join(c for c in word.lower() if c.isalnum()) for word in PROSE.split()} - {""})
    source = random.Random(7)
    pieces += [word for i, word in enumerate(words) if i % 2 and word not in pieces]
    for word in words:
        cut = source.randrange(1, len(word) + 1)
        pieces += [piece for piece in (word[:cut], "##" + word[cut:]) if piece not in ("##", *pieces)]
    inputs = texts()
    with tempfile.TemporaryDirectory() as folder:
        vocabulary = pathlib.Path(folder, "vocab.txt")
        vocabulary.write_text("".join(piece + "\n" for piece in pieces))
        output = subprocess.run([helper, str(vocabulary)], input="\0".join(inputs) + "\0", capture_output=True, text=True, check=True, encoding="ascii").stdout
    ours = [[int(word) for word in line.split()] for line in output.split("\n")[:-1]]
    reference = BertWordPieceTokenizer({piece: i for i, piece in enumerate(pieces)}, lowercase=True)
    theirs = [encoding.ids for encoding in reference.encode_batch(inputs, add_special_tokens=False)]
    assert len(ours) == len(theirs) == len(inputs), (len(ours), len(theirs), len(inputs))
    different = [i for i in range(len(inputs)) if ours[i] != theirs[i]]
    compared = sum(len(ids) for ids in theirs)
    unknown = sum(ids.count(1) for ids in theirs)
    assert compared > 50_000 and 100 < unknown < compared / 2, (compared, unknown)
    for i in different[:5]:
        print(f"text {i}: {inputs[i]!r}\n  ours   {ours[i]}\n  theirs {theirs[i]}")
    print(f"{compared} tokens of {len(inputs)} texts compared, {unknown} of them [UNK]; {len(different)} texts differ")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
