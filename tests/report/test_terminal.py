"""The report in terminals of any width: what the question is about is always there."""

import io
import re
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table

from digitcmp import inert
from digitcmp.inert import visible
from digitcmp.report.build import Report
from digitcmp.report.study import Study, study
from digitcmp.report.terminal import print_report
from digitcmp.terminal import Name, Terminal, say, say_parts, tell
from tests.nasty import TEXTS
from tests.report.made import configuration, write_run

many = settings(max_examples=300, deadline=None, derandomize=True)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """Two configurations, one of them with a long name and a failed round."""
    folder = tmp_path_factory.mktemp("sweep")
    write_run(folder / "a", {seed: 0.8 + seed / 100 for seed in range(8)})
    long = configuration(model__name="a_network_with_a_long_name", aux_weight=0.5)
    write_run(folder / "b", {seed: 0.85 + seed / 100 if seed else None for seed in range(8)}, long)
    return study([folder])


def printed(results: Study, width: int) -> str:
    """What a terminal of this width shows."""
    console = Console(width=width, file=io.StringIO(), highlight=False)
    print_report(Report(Path("report.html"), results), console)
    return str(console.file.getvalue())  # type: ignore[attr-defined]


@pytest.mark.parametrize("width", [200, 120, 80, 60, 40, 20, 10])
def test_what_counts_is_never_left_out(results: Study, width: int) -> None:
    """Accuracy, median, lost rounds of all; difference and its interval: with all their digits. No line of a table is longer than the
    terminal is wide."""
    text = printed(results, width)
    words = re.sub(r"\s+", " ", text) if width >= 20 else re.sub(r"\s+", "", text)
    for value in ("83.50 ± 2.45", "83.50 (80.00 to 87.00)", "0/8", "1/8", "+5.00", "median"):
        assert (value if width >= 20 else value.replace(" ", "")) in words
    table = text.split("warning")[0].splitlines()
    assert all(len(line.rstrip()) <= width for line in table)


def test_the_reader_s_order(results: Study) -> None:
    """Accuracy first, parameters last; they are the first to go."""
    heading = printed(results, 200).splitlines()[:2]
    titles = [title for line in heading for title in ("accuracy", "median", "untrained", "rounds", "parameters") if title in line]
    assert set(titles) == {"accuracy", "median", "untrained", "rounds", "parameters"}
    assert heading[0].index("accuracy") < heading[1].index("median") < heading[1].index("untrained") < heading[1].index("parameters")
    assert "parameters" not in printed(results, 80).split("more ")[0]
    (more,) = [line for line in printed(results, 80).splitlines() if "no room here" in line]
    assert re.fullmatch(r"more    \d columns with no room here: table\.md, comparisons\.md", more)
    assert "no room here" not in printed(results, 200)


@pytest.fixture(scope="module")
def factorial(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """Three switches: the auxiliary loss buys five points, and sharing two more beside it alone; batch norm nothing."""
    folder = tmp_path_factory.mktemp("factorial")
    for number, (aux, shared, normed) in enumerate(product([0.0, 1.0], [False, True], [False, True])):
        gain = 0.05 * aux + 0.02 * aux * shared
        accuracies = {seed: round(0.8 + gain + seed / 100 + (seed * (2 * number + 3) % 7) / 2000, 4) for seed in range(8)}
        levels = configuration(aux_weight=aux, model__weight_sharing=shared, model__batchnorm=normed)
        write_run(folder / str(number), accuracies, levels)
    return study([folder])


@pytest.mark.parametrize("width", [200, 80, 20])
def test_effects_of_a_full_factorial(factorial: Study, results: Study, width: int) -> None:
    """Each factor with its interval, the interaction that there certainly is, and where the others are; where there is no factorial,
    nothing of it."""
    text = printed(factorial, width)
    part = text.split("effects [points]")[1].split("typed")[0]
    words = re.sub(r"\s+", " ", part)
    assert "a column's 6 intervals hold together at 95 %" in words
    for found, there in (("aux_weight", True), ("weight_sharing", True), ("batchnorm", True), ("aux_weight × batchnorm", False)):
        assert (re.search(rf"(?<!× ){found} ", words) is not None) == there
    aux = re.search(r"aux_weight .*?([+-]\d\.\d\d) \(([+-]\d\.\d\d) to ([+-]\d\.\d\d)\)", words)
    assert aux is not None
    assert float(aux[2]) < float(aux[1]) < float(aux[3])
    assert float(aux[1]) == pytest.approx(6, abs=0.1)
    assert re.search(r"aux_weight × weight_sharing .*?\+[12]\.\d\d", words)
    assert "2 interactions that may be zero: effects.md; in each setting: effects_apart.csv" in words
    assert all(len(line.rstrip()) <= width for line in part.split("2 interactions")[0].splitlines())
    assert "effects" not in printed(results, width)


@pytest.mark.parametrize("width", [20, 40, 80])
def test_sentences_break_between_words(width: int) -> None:
    """In a terminal, where paths stay whole; elsewhere a sentence is one line."""
    path = "outputs/2026-11-26/04-35-06_model=wsn,aux_weight=0.5-preview"
    text = f"at most two rounds of two epochs of each configuration, in {path} and no-where else"
    shown = {}
    for terminal in (True, False):
        file = io.StringIO()
        tell(Terminal(file=file, width=width, force_terminal=terminal, color_system=None), text, "warning: ")
        shown[terminal] = file.getvalue()
    assert shown[False] == f"warning: {text}\n"
    lines = shown[True].splitlines()
    assert " ".join(lines) == f"warning: {text}"
    assert all(len(line) <= width or line == path for line in lines)
    assert len(lines) > 1


def test_commands_and_lists_in_a_terminal() -> None:
    """Are broken where one may be, and what goes on is indented; without a terminal each is one line."""
    command, layers = "python -m digitcmp model=net1 rounds=20", 'tower=[{"channels": 16, "norm": true}]'
    shown = {}
    for terminal in (True, False):
        file = io.StringIO()
        console = Terminal(file=file, width=30, force_terminal=terminal, color_system=None)
        say(console, command, "next  ")
        say_parts(console, layers, "  ")
        shown[terminal] = file.getvalue()
    assert shown[False] == f"next  {command}\n  {layers}\n"
    assert shown[True] == 'next  python -m digitcmp \\\n      model=net1 rounds=20\n  tower=[{"channels": 16,\n    "norm": true}]\n'


@many
@given(TEXTS, st.integers(1, 60))
def test_no_character_of_a_name_is_lost(text: str, width: int) -> None:
    """In a column that is too narrow for it, whatever it holds."""
    file = io.StringIO()
    table = Table("", box=None, padding=0, show_header=False)
    table.add_row(Name(text))
    Terminal(file=file, width=width, color_system=None).print(table)
    shown = file.getvalue()
    assert all(cell_len(line) <= max(width, 2) for line in shown.splitlines())
    if width > 1:  # as wide as some characters are
        assert re.sub(r"\s", "", shown) == re.sub(r"\s", "", visible(inert.line(text)))


def test_names_break_after_a_comma() -> None:
    """Or after a blank, and within a part only where it is longer than a line."""
    name = "model=net1,optimizer=adam,augment=elastic and more,data.train_pairs=1000"
    lines = Name(name).wrap(Terminal(), 26)
    assert [line.plain for line in lines] == ["model=net1,optimizer=adam,", "augment=elastic and more,", "data.train_pairs=1000"]
    assert [line.plain for line in Name(name).wrap(Terminal(), 14)][:3] == ["model=net1,", "optimizer=adam", ","]
