"""`tributary plan`: the leaves of a step are those of the run, memory adds up, an encoder with a cache costs nothing, the picture has a bar for each action;
data without training records are refused."""

import pathlib
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "fault"))
from runs import BINARY, Run, make_shards  # noqa: E402

SVG = "{http://www.w3.org/2000/svg}"


def plan(run: Run, *settings: str, ranks: int = 0, svg: pathlib.Path | None = None) -> subprocess.CompletedProcess:
    command = [BINARY, "plan", str(run.config), "--ranks", str(ranks)]
    for setting in settings:
        command += ["--set", setting]
    return subprocess.run(command + (["--svg", str(svg)] if svg else []), capture_output=True, text=True)


def report(run: Run, *settings: str, **options) -> str:
    done = plan(run, *settings, **options)
    assert done.returncode == 0, done.stderr
    return done.stdout


def activations(text: str) -> dict[str, float]:
    """MiB that each block keeps of a leaf."""
    rows = [line.split() for line in text.split("\n\n")[0].splitlines()[1:]]
    return {row[0]: float(row[4]) for row in rows}


def seven_leaves_over_two_copies_are_three_and_four(run: Run) -> None:
    text = report(run, "parallel.pipeline=2", "parallel.schedule=interleaved", "parallel.virtual_stages=2", "train.steps=2", ranks=4)
    assert "2 x 2, interleaved, 2 stages a rank, 4 leaves a step and pipeline" in text, text
    assert "differ in their leaves: 3, 4;" in text, text
    assert '"interleaved" needs a multiple of parallel.pipeline = 2 leaves, this step has 3;' in text and "this step has 4" not in text, text


def leaves_by_tokens_are_counted(run: Run) -> None:
    whole = report(run, "parallel.pipeline=2", "train.steps=3", "train.micro_batch_tokens=1000000")
    assert ", 1 leaves a step and pipeline" in whole, whole
    parts = report(run, "parallel.pipeline=2", "train.steps=3", "train.micro_batch_tokens=64")
    assert int(re.search(r", (\d+) leaves a step and pipeline", parts)[1]) > 7, parts


def memory_adds_up(run: Run) -> None:
    text = report(run, "parallel.pipeline=2", "parallel.reducer=mpi", "text.width=64", "train.steps=2", ranks=4)
    rows = [line.split() for line in text.split("rank MiB")[1].split("\n\n")[0].splitlines()[1:] if re.match(r"\d+ ", line)]
    assert len(rows) == 2, text
    for row in rows:
        *items, total = map(float, row[1:9])
        assert len(items) == 7 and abs(sum(items) - total) < 0.36, row  # each is rounded to a tenth
        assert items[1] == 0 and items[4] > 0, row  # float32; by messages
    assert "gradients are summed by mpi" in text, text


def a_cached_encoder_costs_nothing(run: Run) -> None:
    frozen = ("text.freeze=all", "text.width=256", "text.layers=2", "train.micro_batch=28")
    encoded = activations(report(run, *frozen))
    cached = activations(report(run, *frozen, f"text.cache={run.folder}-cache"))
    blocks = [name for name in encoded if name.startswith("text.")]
    assert len(blocks) >= 3, encoded
    for name in blocks:
        assert encoded[name] >= 0.4 and cached[name] <= 0.1, (name, encoded[name], cached[name])


def the_picture_has_a_bar_for_each_action(run: Run, folder: pathlib.Path) -> None:
    picture = folder / "plan.svg"
    text = report(run, "parallel.pipeline=2", "parallel.schedule=zb_h1", "train.steps=2", svg=picture)
    assert f"{picture}: the timeline of a step" in text, text
    root = xml.etree.ElementTree.parse(picture).getroot()
    assert root.tag == f"{SVG}svg", root.tag
    told = [bar.find(f"{SVG}title").text for bar in root.iter(f"{SVG}rect") if bar.find(f"{SVG}title") is not None]
    named = {re.match(r"(forward|input gradients|weight gradients|backward) of leaf (\d+), stage (\d+),", title).groups() for title in told}
    # 7 leaves in 2 stages; each half of a backward is an action of its own, or both are one.
    for stage in "01":
        for leaf in map(str, range(7)):
            kinds = {kind for kind, of_leaf, of_stage in named if (of_leaf, of_stage) == (leaf, stage)}
            assert kinds in ({"forward", "input gradients", "weight gradients"}, {"forward", "backward"}), (stage, leaf, kinds)
    assert len(named) == len(told) and any(kind == "weight gradients" for kind, _, _ in named), told


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        run = Run(folder, "planned", make_shards(folder, 300))
        seven_leaves_over_two_copies_are_three_and_four(run)
        leaves_by_tokens_are_counted(run)
        memory_adds_up(run)
        a_cached_encoder_costs_nothing(run)
        the_picture_has_a_bar_for_each_action(run, folder)

        cohort = folder / "cohort"  # with this salt both records fall into the test split
        made = [BINARY, "shards", "synth", "--out", str(cohort), "--records", "2", "--parts", "1", "--note-words", "20", "--salt", "d"]
        assert subprocess.run(made, capture_output=True).returncode == 0
        refused = plan(Run(folder, "cohort-plan", cohort), "parallel.pipeline=2")
        assert refused.returncode == 65 and "the training split has no records" in refused.stderr, (refused.returncode, refused.stderr)


if __name__ == "__main__":
    sys.exit(main())
