"""The mistakes of kept networks: those of the test and no others, told rightly, and drawn legibly."""

import csv
import io
import json
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import combinations
from pathlib import Path

import pytest
import torch
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from PIL import Image

import digitcmp
from digitcmp.data.pairs import Pairs
from digitcmp.experiment.run import Run
from digitcmp.experiment.store import network_path
from digitcmp.mistakes import cli as command
from digitcmp.mistakes import confusion
from digitcmp.mistakes import figure as drawing
from digitcmp.mistakes.find import find, mistakes_of
from digitcmp.mistakes.findings import Confusion, Findings, RoundFindings
from digitcmp.model.network import Outputs
from digitcmp.report.rendering import render
from digitcmp.train.results import RoundResult
from digitcmp.train.round import round_pairs
from tests.conftest import Ended, compose_config
from tests.experiment.made import change_configuration, change_records, logs_of, records_of, train_run

SMALL = ["rounds=2", "save_model=true", "engine=serial", "epochs=2", "data.train_pairs=200", "data.test_pairs=60"]
RUNS = {
    "decoder": ["model=decoder_small", "aux_weight=1", "ensemble=2", "tta_shift=0.5"],
    "net1": ["model=net1"],
    "raw": ["model=net1", "data.normalize_test=false", "data.target=gt"],
    "two_logits": ["model=wsmodel1", "seed=5"],
    "dropped": ["model=wsn", "model.dropout=0.5", "model.test_dropout=true", "test_batch=20", "aux_weight=1", "ensemble=2"],
    "batches": ["model=net4", "model.batch_statistics=true", "test_batch=30", "aux_weight=1", "data.test_pairs=250"],
}
CONFUSION = {"confusion.pdf", "confusion.png", "confusion.svg"}
FILES = {"mistakes.csv", "mistakes.pdf", "mistakes.png", "mistakes.svg", *CONFUSION}


def train(folder: Path, *overrides: str) -> Run:
    """Train a small run without a word."""
    return train_run(compose_config(*SMALL, *overrides), folder)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of a run of RUNS, which is trained when it is first asked for."""
    folder = tmp_path_factory.mktemp("kept")

    def run(name: str) -> Path:
        if not (folder / name).exists():
            train(folder / name, *RUNS[name])
        return folder / name

    return run


@pytest.fixture
def ask(run_main: Callable[..., Ended]) -> Callable[..., Ended]:
    """Run `python -m digitcmp.mistakes` in this process."""
    return partial(run_main, command.main)


def rows_of(folder: Path) -> list[dict[str, str]]:
    """The rows of mistakes.csv."""
    return list(csv.DictReader(io.StringIO((folder / "mistakes.csv").read_text())))


@pytest.mark.parametrize("name", RUNS)
def test_as_many_as_the_test_found(name: str, kept: Callable[[str], Path], ask: Callable[..., Ended], tmp_path: Path) -> None:
    """The wrong pairs of each seed are as many as its record implies; all else in the table is true of them."""
    ended, config = ask(kept(name), "--out", tmp_path), compose_config(*SMALL, *RUNS[name])
    assert ended.code == 0, ended.err
    assert {path.name for path in tmp_path.iterdir()} == FILES
    rows, rounds = rows_of(tmp_path), [record.row for record in records_of(kept(name))]
    wrong = {row.seed: round((1 - row.test_accuracy) * config.data.test_pairs) for row in rounds if row.test_accuracy is not None}
    assert len(wrong) == 2
    assert Counter(int(row["seed"]) for row in rows) == {seed: count for seed, count in wrong.items() if count}
    for row in rows:
        pairs, pair = round_pairs(config.data, int(row["seed"])).test, int(row["pair"])
        assert [int(row["first"]), int(row["second"])] == pairs.digits[pair].tolist()
        assert int(row["target"]) == pairs.target[pair] == 1 - int(row["answer"])
        assert (float(row["probability"]) > 0.5) == (row["answer"] == "1")
    assert f"{sum(wrong.values())} of {2 * config.data.test_pairs} test pairs are answered wrongly, in 2 rounds" in ended.out
    assert "%, as on record\n" in ended.out
    assert ("of all digits are read rightly" in ended.out) == (rounds[0].digit_accuracy is not None)


def test_digits_are_told_where_they_are_read(kept: Callable[[str], Path], ask: Callable[..., Ended], tmp_path: Path) -> None:
    """A network with a digit head has reads, posteriors and kinds that fit each other; one without has empty cells and a dash."""
    out = ask(kept("decoder"), "--out", tmp_path / "read").out
    for row in rows_of(tmp_path / "read"):
        misread = (row["first"] != row["first_read"]) + (row["second"] != row["second_read"])
        assert row["kind"] == ["digits right", "one digit misread", "both misread"][misread]
        assert all(
            0 <= float(row[f"{place}_posterior"]) < (0.5 if row[place] != row[f"{place}_read"] else 1) for place in ("first", "second")
        )
    accuracy = [record.row.digit_accuracy or 0 for record in records_of(kept("decoder"))]
    assert f"{50 * sum(accuracy):.2f} % of all digits are read rightly" in out
    assert "in wrong pairs" in out
    out = ask(kept("net1"), "--out", tmp_path / "unread").out
    assert "in wrong pairs" not in out
    assert {tuple(row.values())[7:] for row in rows_of(tmp_path / "unread")} == {("", "", "", "", "-")}


@pytest.mark.parametrize("name", ["net1", "raw"])
def test_grey_images_and_what_was_tested(name: str, kept: Callable[[str], Path]) -> None:
    """What is shown is the test image as the data set has it; what the network is asked about is normalised as in the test."""
    config, findings, network = compose_config(*SMALL, *RUNS[name]), find(kept(name), 1, "data"), digitcmp.load_model(kept(name))
    drawn, normalised = round_pairs(config.data, 0), config.data.normalize_test
    assert len(findings.mistakes) > 5
    for mistake in findings.mistakes:
        grey = drawn.test.images[mistake.row.pair]
        grey = grey * drawn.std + drawn.mean if normalised else grey
        assert mistake.images == pytest.approx(grey.numpy(), abs=1e-6)
        assert (mistake.images.min(), mistake.images.max()) == (pytest.approx(0, abs=1e-6), pytest.approx(1, abs=0.2))
        assert mistake.row.probability == pytest.approx(network(grey[None]).comparison.sigmoid().item(), abs=1e-5)


def test_rounds_are_the_first_ones(kept: Callable[[str], Path], ask: Callable[..., Ended], tmp_path: Path) -> None:
    """--rounds 1 asks the first seed alone; the files are the run's where no other folder is named, the same bytes each time."""
    folder = shutil.copytree(kept("net1"), tmp_path / "run")
    ended = ask(folder, "--rounds", "1")
    assert "of 60 test pairs are answered wrongly, in 1 round\n" in ended.out
    assert {row["seed"] for row in rows_of(folder)} == {"0"}
    before = {name: (folder / name).read_bytes() for name in FILES}
    ask(folder, "--rounds", "1")
    assert {name: (folder / name).read_bytes() for name in FILES} == before
    assert ask(folder).out != ended.out


def test_no_mistakes(ask: Callable[..., Ended], tmp_path: Path) -> None:
    """A table without rows, no figure, and none that an earlier call has left."""
    rounds = train(tmp_path, "rounds=8", "data.test_pairs=1").rows
    assert {row.test_accuracy for row in rounds} == {0.0, 1.0}
    assert ask(tmp_path).code == 0
    assert (tmp_path / "mistakes.png").exists()
    change_records(tmp_path, lambda result: result if result.row.test_accuracy == 1 else None)
    ended = ask(tmp_path)
    assert ended.code == 0, ended.err
    assert f"0 of {sum(row.test_accuracy == 1 for row in rounds)} test pair" in ended.out
    assert (tmp_path / "mistakes.csv").read_text().splitlines() == [
        "seed,pair,first,second,target,answer,probability,first_read,second_read,first_posterior,second_posterior,kind"
    ]
    assert {path.name for path in tmp_path.iterdir()} & FILES == {"mistakes.csv", *CONFUSION}


def test_other_answers_than_recorded(kept: Callable[[str], Path], ask: Callable[..., Ended], tmp_path: Path) -> None:
    """An accuracy that comes out otherwise is an error; by a single pair, as a GPU's rounding may have it, it is only told."""
    folder = shutil.copytree(kept("net1"), tmp_path / "run")
    accuracy = records_of(folder)[0].row.test_accuracy or 0

    def other(result: RoundResult, pairs: int) -> RoundResult:
        return replace(result, row=replace(result.row, test_accuracy=accuracy - pairs / 60)) if result.row.seed == 0 else result

    for pairs, code in ((1, 0), (2, 1)):
        change_records(folder, lambda result, pairs=pairs: other(result, pairs))
        ended = ask(folder)
        assert ended.code == code
    assert f"digitcmp: seed=0: {100 * accuracy:.2f} % of the test pairs are answered rightly, but" in ended.err
    change_records(folder, lambda result: other(result, 1))
    assert "(1 of 2 rounds differ by a pair or two)" in ask(folder).out


def test_errors(kept: Callable[[str], Path], ask: Callable[..., Ended], tmp_path: Path) -> None:
    """One line that says what would be right, and exit code 1."""
    folder = shutil.copytree(kept("net1"), tmp_path / "run")

    def error(*arguments: str | Path) -> str:
        ended = ask(*arguments)
        assert (ended.code, ended.out, ended.err.count("\n")) == (1, "", 1)
        return ended.err

    assert error(folder, "--rounds", "0") == "digitcmp: --rounds=0: must be a whole number, at least 1\n"
    assert "holds no run" in error(tmp_path)
    (tmp_path / "file").write_text("")
    assert "cannot write" in error(folder, "--out", tmp_path / "file" / "below")
    (tmp_path / "MNIST").touch()  # so that nothing can be downloaded into it
    before = json.loads((folder / "run.json").read_text())["configuration"]
    for data, text in (
        ({"source": "mnist"}, "MNIST"),
        ({"test_pairs": "many"}, "run.json: data.test_pairs: Value 'many'"),
        ({"sauce": 1}, "sauce"),
    ):
        change_configuration(folder, lambda values, data=data: values.update(data={**before["data"], **data}))  # type: ignore[misc]
        assert text in error(folder, "--root", tmp_path)
    change_configuration(folder, lambda values: values.update(data=before["data"], model={**before["model"], "dropout": "much"}))
    assert "Value 'much' of type 'str' could not be converted to Float" in error(folder)
    change_configuration(folder, lambda values: values.update(before))
    network_path(folder, 1).write_bytes(network_path(folder, 1).read_bytes()[:-1])
    assert "1.safetensors cannot be read" in error(folder)
    network_path(folder, 1).unlink()
    assert "seed=1: " in error(folder)
    network_path(folder, 0).unlink()
    assert "holds no trained networks: it was trained without save_model=true (a sweep keeps none unasked), or they have" in error(folder)
    logs_of(folder)[0].unlink()
    assert "holds no finished round" in error(folder)
    (folder / "records" / "a.jsonl").mkdir()
    assert "holds no finished round (records/a.jsonl cannot be read: Is a directory; its rounds are left out)" in error(folder)
    train(tmp_path / "unseen", "test=false", "data.val_pairs=50")
    assert "was trained with test=false" in error(tmp_path / "unseen")


def test_help_does_not_wait_for_torch() -> None:
    """Neither does it import what takes seconds."""
    code = "import sys; from digitcmp.mistakes.cli import parser; parser().format_help();"
    code += "print({'torch', 'matplotlib'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"


def made(digits: list[tuple[int, int]], reads: list[tuple[int, int]], outputs: int = 1, surplus: float = 0.0) -> Findings:
    """Pairs that are answered wrongly but for the first, with logits 1 above the others' (probability 0.232) for what is read."""
    true = torch.tensor(digits)
    target = (true[:, 0] <= true[:, 1]).long()
    said = 1 - target
    said[0] = target[0]
    logit = (2.0 * said - 1) * (1 + surplus * torch.arange(len(said)))
    comparison = logit[:, None] if outputs == 1 else torch.stack([torch.zeros_like(logit), logit], dim=1)
    read = torch.nn.functional.one_hot(torch.tensor(reads), 10).float() if reads else None
    images = torch.arange(len(digits) * 2 * 14 * 14).view(-1, 2, 14, 14) / (len(digits) * 2 * 14 * 14)
    mistakes = mistakes_of(7, Pairs(images, target, true), Outputs(comparison, read))
    counts = Counter((one, other) for pair, seen in zip(digits, reads, strict=False) for one, other in zip(pair, seen, strict=True))
    return Findings("≤", [RoundFindings(7, Counter(digits), mistakes, 1 / len(digits), counts if reads else None)])


@pytest.mark.parametrize("outputs", [1, 2])
def test_a_case_made_by_hand(outputs: int) -> None:
    """The pair that is answered rightly is left out; the others are of the kinds that they were made to be."""
    digits, reads = [(9, 1), (3, 5), (4, 4), (7, 2), (8, 1)], [(9, 4), (3, 5), (4, 9), (2, 7), (3, 1)]
    findings = made(digits, reads, outputs)
    rows = [mistake.row for mistake in findings.mistakes]
    assert [row.kind for row in rows] == ["digits right", "one digit misread", "both misread", "one digit misread"]
    assert findings.kinds() == {"one digit misread": 2, "both misread": 1, "digits right": 1}
    assert [(row.seed, row.pair) for row in rows] == [(7, 1), (7, 2), (7, 3), (7, 4)]
    assert [(row.target, row.answer) for row in rows] == [(1, 0), (1, 0), (0, 1), (0, 1)]
    assert [row.probability for row in rows] == pytest.approx([0.26894142, 0.26894142, 0.73105858, 0.73105858])
    assert [row.sure for row in rows] == pytest.approx([0.73105858] * 4)
    assert [(row.first_read, row.second_read) for row in rows] == reads[1:]
    assert (rows[1].first_posterior, rows[1].second_posterior) == pytest.approx((0.23196931, 0.08533674))
    assert (findings.accuracy, findings.pairs, findings.digit_accuracy) == (pytest.approx(0.2), 5, 0.5)
    assert findings.confusions() == [
        Confusion(2, 7, 1, 1), Confusion(4, 9, 1, 1), Confusion(7, 2, 1, 1), Confusion(8, 3, 1, 1), Confusion(1, 4, 0, 1)
    ]  # fmt: skip


def legible(figure: Figure) -> list[str]:
    """The texts of a figure, none of which touches another one, leaves the paper or lies in an image."""
    (axes,), canvas = figure.axes, figure.canvas
    boxes = [text.get_window_extent(canvas.get_renderer()) for text in axes.texts]
    assert not [(one, other) for one, other in combinations(boxes, 2) if one.overlaps(other)]
    assert all(box.x0 > 0 and box.y0 > 0 and box.x1 < figure.bbox.x1 and box.y1 < figure.bbox.y1 for box in boxes)
    images = [image.get_window_extent(canvas.get_renderer()) for image in axes.images]
    assert not [image for image in images for box in boxes if box.overlaps(image)]
    return [text.get_text() for text in axes.texts]


def test_figure_of_many() -> None:
    """Sixty of seventy-five, surest first, each with two images and twenty bars; a line says so."""
    findings = made([(1, 2)] + [(9, 8)] * 75, [(1, 2)] + [(8, 9)] * 75, surplus=0.1)
    figure = drawing.figure(findings)
    assert figure.axes[0].texts[0].get_fontweight() == "bold"  # the title, as in every figure
    texts = legible(figure)
    assert texts[0] == "75 of 76 test pairs are answered wrongly, in 1 round"
    assert texts[1] == "one digit misread: 0, both misread: 75, digits right: 0"
    assert texts[2].startswith("shown: the 60 of which the network was surest, surest first;")
    assert texts.count("9 ≤ 8? says yes") == 60
    assert [mistake.row.pair for mistake in findings.surest(60)] == list(range(75, 15, -1))
    (axes,) = figure.axes
    assert len(axes.images) == 120
    assert axes.images[1].get_array().tolist() == findings.mistakes[-1].images[1].tolist()
    bars = axes.patches[2:]  # after those that explain the colours
    assert len(bars) == 1200
    assert [to_hex(bar.get_facecolor()).upper() for bar in bars[7:10]] == [drawing.OTHER, drawing.READ, drawing.TRUE]
    assert bars[8].get_height() / bars[9].get_height() == pytest.approx(torch.e)
    with Image.open(io.BytesIO(render(figure, "png"))) as picture:
        assert picture.size == (1200, round(150 * figure.get_figheight()))


def test_figure_of_few() -> None:
    """As high as it must be; without digit head there are no bars, and nothing is said of them."""
    read, unread = (drawing.figure(made([(1, 2), (3, 3)], reads)) for reads in ([(1, 2), (3, 3)], []))
    top, shown = "1 of 2 test pairs is answered wrongly, in 1 round", "shown: all of them, surest first"
    texts = legible(unread)
    assert (texts[0], texts[1].split(";")[0], texts[2:]) == (top, shown, ["3 ≤ 3? says no", "73 %"])
    assert len(unread.axes[0].patches) == 0
    texts = legible(read)
    assert (texts[0], texts[2].split(";")[0], texts[6:]) == (top, shown, ["3 ≤ 3? says no", "73 %", "3", "3"])
    assert len(read.axes[0].patches) == 2 + 20
    assert unread.get_figheight() < read.get_figheight() < drawing.figure(made([(1, 2)] * 8, [(1, 2)] * 8)).get_figheight()


def test_figure_of_confusions() -> None:
    """Both matrices by hand: what is read as what, and how many of the pairs of two digits are answered wrongly; one without digit head."""
    digits = [(9, 1), (3, 5), (4, 4), (3, 5), (3, 3)]
    findings = made(digits, [(9, 4), (3, 5), (4, 9), (3, 8), (3, 3)])
    findings.rounds[0].asked[3, 5] += 2  # answered rightly
    drawn = confusion.figure(findings)
    read, wrong = (
        {(round(text.get_position()[1]), round(text.get_position()[0])): text.get_text() for text in axes.texts} for axes in drawn.axes
    )
    named = {place: text for place, text in read.items() if text not in ("", confusion.NONE)}
    assert named == {(9, 9): "100", (1, 4): "100", (3, 3): "100", (5, 5): "50", (5, 8): "50", (4, 4): "50", (4, 9): "50"}
    assert {place for place, text in read.items() if text == confusion.NONE} == {(row, one) for row in (0, 2, 6, 7, 8) for one in range(10)}
    assert {place: text for place, text in wrong.items() if text != confusion.NONE} == {
        (9, 1): "",
        (3, 5): "50",
        (4, 4): "100",
        (3, 3): "100",
    }
    shaded = drawn.axes[0].images[0].get_array()
    assert shaded.mask.diagonal().all()  # type: ignore[union-attr]
    assert shaded[1, 4] == 1.0  # type: ignore[index]
    for figure in (drawn, confusion.figure(made(digits, []))):
        figure.draw_without_rendering()
        boxes = [text.get_window_extent() for axes in figure.axes for text in axes.texts if text.get_text()]
        assert not [(one, other) for one, other in combinations(boxes, 2) if one.overlaps(other)]
    assert len(figure.axes) == 1


@pytest.mark.parametrize(
    ("share", "text"),
    [(0, ""), (1e-6, "<0.1"), (0.0004, "<0.1"), (0.0006, "0.1"), (0.0949, "9.5"), (0.3, "30"), (0.999, "99.9"), (1, "100")],
)
def test_numbers_of_the_confusion_matrix(share: float, text: str) -> None:
    """Hardly any is not none, and nearly all is not all."""
    assert confusion.told(share) == text
    assert confusion.told(float("nan")) == confusion.NONE
