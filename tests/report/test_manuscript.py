"""The tables for a paper: what is in them, and that LaTeX sets them within one column of text."""

import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from digitcmp.config.identity import configuration
from digitcmp.errors import RunError
from digitcmp.report import cli
from digitcmp.report.build import make_report
from digitcmp.report.manuscript import SIZES, choose, columns, comparison_table, latex, main_table, told_wide, width
from digitcmp.report.metrics import MANUSCRIPT_COLUMNS, METRICS, TEST_ACCURACY
from digitcmp.report.renaming import names_among, renamed
from digitcmp.train.results import RoundResult
from tests.conftest import ROOT, Ended, compose_config
from tests.experiment.made import ROUND, write_run
from tests.report import made as report_made

DOCUMENT = r"""\documentclass[twocolumn]{article}
\usepackage{array,booktabs,graphicx}
\begin{document}
\noindent %s
\end{document}
"""
NASTY = ["net1", "model.batchnorm=true,model.dropout=0.5,optimizer.lr=0.0123456,aux_weight=0.25", r"a_b%c $x_$ {} \bad # ~ ^ & ±", "−3 – 4"]


def made(labels: list[str], wide: bool) -> tuple[pd.DataFrame, pd.DataFrame]:
    """A report's table and comparisons with these labels, and numbers as they are, or as wide as they get."""
    count = len(labels)
    figures = {
        "mean": 0.8922,
        "std": 0.1234 if wide else 0.0504,
        "median": 0.9045,
        "parameters": 140994,
        "lost": 10,
        "all": 100,
        "rounds": 100,
        "seconds": 54.9,
    }
    table = pd.DataFrame({"label": labels, **{name: [value] * count for name, value in figures.items()}})
    low, high = (-0.1581, 0.0107) if wide else (0.0581, 0.0692)
    compared = {
        "difference": (low + high) / 2,
        "difference_low": low,
        "difference_high": high,
        "p_holm": 0.00001,
        "won": 100,
        "tied": 0,
        "lost": 0,
    }
    comparisons = pd.DataFrame(
        {"label": labels[1:], "baseline": labels[0], **{name: [value] * (count - 1) for name, value in compared.items()}}
    )
    return table, comparisons


def overfull(tex: str, folder: Path) -> list[str]:
    """What pdflatex says of boxes that stand out, and of anything that it does not understand."""
    (folder / "paper.tex").write_text(DOCUMENT % tex, encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "paper.tex"]
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, errors="replace", check=False)
    assert ended.returncode == 0, ended.stdout[-2000:]
    return re.findall(r"^(?:Overfull \\hbox.*|LaTeX Warning: .*|! .*|Missing character: .*)$", ended.stdout, re.MULTILINE)


needs_latex = pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs pdflatex (Debian: texlive-latex-recommended)")


@needs_latex
@pytest.mark.parametrize("labels", [["net1", "net2", "net3", "net4"], NASTY], ids=["short", "nasty"])
def test_latex_sets_the_tables_within_a_column(labels: list[str], tmp_path: Path) -> None:
    """229.5 points, whatever the names: nothing stands out, nothing is read as a command. Where it is too much, the file says so."""
    table, comparisons = made(labels, wide=labels is NASTY)
    whole = main_table(table, comparisons, TEST_ACCURACY, None, NASTY)
    fits = labels is not NASTY
    assert "a_b%c" in whole.split(r"\begin")[0]
    assert (overfull(whole, tmp_path) == []) == fits
    assert ("leave out columns" in whole) != fits
    for tex in (main_table(table, comparisons, TEST_ACCURACY, ["mean", "gain"]), comparison_table(comparisons, TEST_ACCURACY, NASTY)):
        assert overfull(tex, tmp_path) == []


@needs_latex
@pytest.mark.parametrize("name", ["a" * 100, "W" * 60, "ablation_without_any_of_it-and-with-all-of-that"])
def test_latex_breaks_a_name_that_is_too_long(name: str, tmp_path: Path) -> None:
    """Also one without a sign behind which it could be broken; the table has its usual columns beside it."""
    table, comparisons = made(["net1", name], wide=False)
    for tex in (main_table(table, comparisons, TEST_ACCURACY), comparison_table(comparisons, TEST_ACCURACY)):
        assert overfull(tex, tmp_path) == []


def test_the_table_of_a_paper(tmp_path: Path) -> None:
    """A row a configuration, by its new name: parameters, mean ± std, median, and the gain over the first one with its interval."""
    for lr, first in ((0.1, 0.6), (0.2, 0.7)):
        rows = [replace(ROUND, seed=seed, test_accuracy=first + 0.01 * seed, majority_accuracy=0.55) for seed in range(8)]
        config = configuration(compose_config("model=net2", "optimizer=sgd", f"optimizer.lr={lr}"))
        write_run(tmp_path / str(lr), map(RoundResult, rows), {"parameters": 66_593, "seeds": [*range(8)]}, config)
    make_report([tmp_path], names={"lr=0.2": "Model 2"})
    text = (tmp_path / "summary" / "table_paper.tex").read_text()
    head, units, *rows = [line.replace("{[}", "[").replace("{]}", "]") for line in text.splitlines() if line.endswith(r"\\")]
    assert (head, units) == (r"network & params & accuracy & median & paired gain \\", r" &  & [\%] & [\%] & [points] \\")
    assert rows[0].startswith(r"lr=\allowbreak{}0.\allowbreak{}1 & 66,593 & 63.50 $\pm$ 2.45 & 63.50 & --")
    assert rows[1].startswith(r"Model 2 & 66,593 & 73.50 $\pm$ 2.45 & 73.50 & +10.00 (10.00, 10.00)")
    compared = (tmp_path / "summary" / "comparisons.tex").read_text()
    assert r"Model 2 & +10.00 & +10.00 to +10.00 & 0.0078 &" in compared
    assert r"against & gain & 95 \% interval & Holm p & won--tied--lost \\" in compared
    assert r"0.\allowbreak{}1 & {[}points{]} & {[}points{]} &  & {[}rounds{]} \\" in compared
    assert "Model 2" in (tmp_path / "summary" / "table.md").read_text()


def few_rounds() -> tuple[pd.DataFrame, pd.DataFrame]:
    """A table and comparisons of so few rounds that gains have no intervals, one of which was lost: there is room for a column more."""
    table, comparisons = made(["net1", "net2"], wide=False)
    return table.assign(lost=[0, 1], all=5), comparisons.assign(difference_low=float("nan"), difference_high=float("nan"))


@needs_latex
def test_latex_sets_the_column_of_lost_rounds(tmp_path: Path) -> None:
    """Where it is added, it fits."""
    tex = main_table(*few_rounds(), TEST_ACCURACY)
    assert "& lost" in tex
    assert overfull(tex, tmp_path) == []


def comments(tex: str) -> list[str]:
    """What stands in front of a table, but for what it needs."""
    return [line.removeprefix("% ") for line in tex.splitlines() if line.startswith("% ")][1:]


def test_lost_rounds_and_warnings_are_in_the_table_of_a_paper() -> None:
    """In a column where it fits; else, and where other columns were chosen, in a comment, as all warnings are, whatever is in them."""
    table, comparisons = few_rounds()
    nasty = "1 run is \N{LINE SEPARATOR}still\nrunning: \\end{tabular}"
    tex = main_table(table, comparisons, TEST_ACCURACY, None, [nasty])
    assert r"& paired gain & lost \\" in tex
    assert r"& 1/5 \\" in tex
    (told,) = comments(tex)
    assert told.startswith("1 run is ")
    assert told.endswith(r"running: \end{tabular}")
    untold = "failed or untrained rounds, which this table does not show: net2 (1 of 5)"
    assert comments(main_table(table, comparisons, TEST_ACCURACY, ["mean"])) == [untold]
    assert comments(main_table(table, comparisons, METRICS["train_loss"], ["mean"])) == [untold.replace(" or untrained", "")]
    assert comments(main_table(table, comparisons, TEST_ACCURACY, ["lost"])) == []
    assert comments(comparison_table(comparisons, TEST_ACCURACY, ["a warning"])) == ["a warning"]
    wide, compared = made(NASTY, wide=True)
    narrowest = "wider than a column of text: leave out columns with --columns, or set it across both columns (table*)"
    shown = "failed or untrained rounds, which this table does not show: "
    *_, lost, last = comments(main_table(wide, compared, TEST_ACCURACY))
    assert (lost.startswith(shown), last) == (True, narrowest)
    none = main_table(table.assign(lost=0), comparisons, TEST_ACCURACY)
    assert comments(none) == []
    assert "lost" not in none


@needs_latex
@pytest.mark.parametrize(
    "text", ["Model 1", "best of the search", "won–tied–lost", "+6.75 (-6.45, 7.05)", "ZWMQ&%fi_jumps=1;[x]", "≤ ±∞ <", "time ↓"]
)
def test_widths_are_those_of_latex(text: str, tmp_path: Path) -> None:
    """Never less than it is, and not much more, in both sizes: by these, columns are as wide as they need to be."""
    for size, points in SIZES.items():
        measured = rf"\setbox0\hbox{{\{size} {latex(text)}}}\typeout{{wide \the\wd0}}"
        assert overfull(measured, tmp_path) == []
        (wide,) = re.findall(r"^wide (\d+\.\d+)pt$", (tmp_path / "paper.log").read_text(errors="replace"), re.MULTILINE)
        assert 0.9 * width(text) * points < float(wide) <= width(text) * points


def test_a_name_is_not_broken_where_smaller_letters_leave_it_whole() -> None:
    """Neither is the head, which has the baseline in a line of its own."""
    table, comparisons = made(["Model 1", "Model 4, as published"], wide=False)
    smaller = main_table(table, comparisons, TEST_ACCURACY, ["mean", "gain", "lost"])
    assert r"\scriptsize" in smaller
    assert "{@{}lrrr@{}}" in smaller
    larger = comparison_table(comparisons.assign(label="Model 2"), TEST_ACCURACY)
    assert r"\footnotesize" in larger
    assert "{@{}lrrrr@{}}" in larger


def test_a_table_that_is_too_wide_is_told_of() -> None:
    """By its name, with what to do about it."""
    table, comparisons = made(["net1", "net2"], wide=False)
    texts = {
        "a.tex": main_table(table, comparisons, TEST_ACCURACY),
        "b.tex": main_table(table, comparisons, TEST_ACCURACY, MANUSCRIPT_COLUMNS),
    }
    told = "b.tex is wider than a column of text: leave out columns with --columns, or set it across both columns (table*)"
    assert told_wide(texts) == [told]


def test_signs_of_a_gain_and_its_bounds() -> None:
    """A gain has one always; its bounds a minus sign alone, as plus signs would make the column too wide."""
    row = {"difference": 0.031, "difference_low": -0.0375, "difference_high": 0.0935}
    assert columns(TEST_ACCURACY)["gain"].show(row) == "+3.10 (-3.75, 9.35)"
    row = {"difference": -0.031, "difference_low": -0.0935, "difference_high": -0.0012}
    assert columns(TEST_ACCURACY)["gain"].show(row) == "-3.10 (-9.35, -0.12)"


@needs_latex
def test_where_less_is_better_the_table_says_so(tmp_path: Path) -> None:
    """A loss and a time have an arrow, and differences, which are no gains."""
    table, comparisons = made(["net1", "net2"], wide=False)
    for name, head in (("train_loss", r"loss $\downarrow$"), ("seconds", r"time $\downarrow$")):
        whole = main_table(table, comparisons, METRICS[name], ["mean", "gain"])
        compared = comparison_table(comparisons, METRICS[name])
        assert rf"& {head} & paired difference \\" in whole
        assert "& difference &" in compared
        assert [*overfull(whole, tmp_path), *overfull(compared, tmp_path)] == []
    assert "downarrow" not in main_table(table, comparisons, TEST_ACCURACY)


def test_names_and_columns_that_are_not_there() -> None:
    """Named, with the nearest that there are; two configurations never get one name."""
    assert tuple(columns(TEST_ACCURACY)) == MANUSCRIPT_COLUMNS
    with pytest.raises(RunError, match=r"columns 'medain': .*did you mean 'median'"):
        choose(["medain"], TEST_ACCURACY)
    with pytest.raises(RunError, match="columns mean,gain,mean: mean is named twice"):
        choose(["mean", "gain", "mean"], TEST_ACCURACY)
    with pytest.raises(RunError, match=r"rename 'net5': .*did you mean 'net1'"):
        renamed(["net1", "wsn"], {"net5": "Model 5"})
    with pytest.raises(RunError, match="two configurations would be called 'wsn'"):
        renamed(["net1", "wsn"], {"net1": "wsn"})
    assert renamed(["net1", "wsn"], {"net1": "wsn", "wsn": "net1"}) == ["wsn", "net1"]


@pytest.mark.parametrize(
    ("pairs", "found"),
    [
        (["net1=Model 1"], {"net1": "Model 1"}),
        (["net2 lr=1=wsn lr=1"], {"net2 lr=1": "wsn lr=1"}),
        (["net2 lr=1==="], {"net2 lr=1": "=="}),
        (["lr=1=a=b"], {"lr=1": "a=b"}),
        (["lr=x=a=b"], {"lr": "x=a=b"}),
        (["net1=a", "lr=1=a=b", "net1=a"], {"net1": "a", "lr=1": "a=b"}),
    ],
)
def test_names_and_labels_have_equals_signs(pairs: list[str], found: dict[str, str]) -> None:
    """A label of the table says where the name begins, the longest one that there is."""
    assert names_among(pairs, ["net1", "net2 lr=1", "lr", "lr=1"]) == found


@pytest.mark.parametrize(
    ("pairs", "told"),
    [
        (
            ["net2 lr=2=wsn lr=1"],
            r"rename 'net2 lr=2': there is no such .*did you mean 'net2 lr=1'\?\); choose one of 'net1', ",
        ),
        (["nte1=Model 1=a"], r"rename 'nte1': .*did you mean 'net1'"),
        (["net1=a", "net1=b"], "--rename net1=b: it is called a already"),
        (["net2 lr=1=a=b", "net2 lr=1=a=c"], "--rename net2 lr=1=a=c: it is called a=b already"),
        (["net1="], "--rename net1=: this is not LABEL=NAME"),
        (["=net1"], "--rename =net1: this is not LABEL=NAME"),
        (["net1"], "--rename net1: this is not LABEL=NAME"),
    ],
)
def test_names_that_cannot_be_given(pairs: list[str], told: str) -> None:
    """Are told with the label that they were meant for."""
    with pytest.raises(RunError, match=told):
        names_among(pairs, ["net1", "net2 lr=1"])


def test_a_name_with_an_equals_sign_is_in_the_report(tmp_path: Path, run_main: Callable[..., Ended]) -> None:
    """By the command line, also as the baseline by the label that it had."""
    for name, rate in (("a", 0.4), ("b", 1.0)):
        config = report_made.configuration(optimizer__lr=rate)
        report_made.write_run(tmp_path / name, {seed: 0.7 + seed / 100 + rate / 10 for seed in range(7)}, config)
    ended = run_main(cli.main, tmp_path, "--rename", "lr=1=wsn lr=1", "--baseline", "lr=1")
    assert ended.code == 0, ended.err
    assert "wsn lr=1" in (tmp_path / "summary" / "table.md").read_text()
    assert "to **wsn lr=1**" in (tmp_path / "summary" / "comparisons.md").read_text()
    ended = run_main(cli.main, tmp_path / "none", "--rename", "lr")
    assert "--rename lr: this is not LABEL=NAME" in ended.err


@needs_latex
def test_what_the_page_says_of_latex(tmp_path: Path) -> None:
    """Its table and its figure, with the files of a report, are set within a column."""
    for name, least in (("net1", 0.7), ("net2", 0.8)):
        report_made.write_run(tmp_path / name, {seed: least + seed / 100 for seed in range(7)}, report_made.configuration(model__name=name))
    make_report([tmp_path])
    blocks = re.findall(r"```latex\n(.*?)```", (ROOT / "docs" / "paper.md").read_text(), re.DOTALL)
    assert len(blocks) == 2
    assert overfull("".join(blocks), tmp_path / "summary") == []
    assert (tmp_path / "summary" / "paper.pdf").stat().st_size > 10_000
