"""The whole report: its files, its page in a browser, and its command line."""

import json
import os
import re
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest

from digitcmp.errors import RunError
from digitcmp.report import build
from digitcmp.report import cli as command
from digitcmp.report.build import make_report, tables
from digitcmp.report.metrics import METRICS, Metric
from digitcmp.report.study import study
from digitcmp.report.tables import typeset
from tests.report.made import configuration, write_run

FIGURES = ("curves", "distribution", "differences", "swept", "distances")
NAME = "<b>net & co</b>"


def write_sweep(folder: Path) -> Path:
    """Two configurations that differ in one number, with an awkward name, and a run that is still running."""
    for weight, shift in ((0.0, 0.0), (0.5, 0.05)):
        seeds = {seed: 0.8 + shift + (seed * 7 % 5) / 100 for seed in range(8)}
        status = "running" if weight else "done"
        made = configuration(model__name=NAME, aux_weight=weight)
        name, wanted = f"aux_weight={weight},50%#1", list(range(10 if weight else 8))
        write_run(folder / name, seeds, made, right=range(90, 100), status=status, seeds=wanted)
    return folder


@pytest.fixture(scope="module")
def summary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report on disk."""
    return make_report([write_sweep(tmp_path_factory.mktemp("sweep"))]).path.parent


class Links(HTMLParser):
    """Collects what a page refers to, its tables and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.tables: list[str] = []
        self.tags: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.tags.add(tag)
        self.links += [values[name] for name in ("src", "href", "srcset", "data", "action") if name in values]
        if tag == "table":
            self.tables.append(values.get("id", ""))


def test_all_files_are_there(summary: Path) -> None:
    """Tables and figures; nothing temporary is left."""
    pictures = {f"{name}.{kind}" for name in FIGURES for kind in ("pdf", "png", "svg")}
    tables = {f"{name}.{kind}" for name in ("table", "comparisons") for kind in ("csv", "md", "tex")} | {"table_paper.tex", "report.html"}
    assert {path.name for path in summary.iterdir()} == pictures | tables


def test_tables_carry_warnings_and_methods(summary: Path) -> None:
    """Whoever copies the table copies the doubt too."""
    text = (summary / "table.md").read_text()
    assert "**Warning:** 1 run is still running (or killed): aux_weight=0.5,50%#1 (8 of 10 rounds)" in text
    assert "scipy.stats.t" in text
    assert "Wilcoxon" in (summary / "comparisons.md").read_text()
    for name in ("table.tex", "table_paper.tex", "comparisons.tex"):
        assert "% 1 run is still running" in (summary / name).read_text()


def test_digit_accuracies_are_explained_where_they_are(summary: Path, tmp_path: Path) -> None:
    """That a joint head is right about at most one of two different digits, beside the column of the digits alone."""
    write_run(tmp_path / "a", dict.fromkeys(range(3), 0.8), others=0.3)
    made = make_report([tmp_path]).path.parent
    for name in ("table.md", "table.tex"):
        assert "A joint head, one for both digits of a pair, is right about at most one of two" in (made / name).read_text()
        assert "joint head" not in (summary / name).read_text()


@pytest.mark.parametrize("metric", [METRICS["test_accuracy"], METRICS["seconds"]], ids=["test_accuracy", "seconds"])
def test_failed_rounds_in_every_outlet(metric: Metric, tmp_path: Path) -> None:
    """Where most rounds failed, medians and differences are infinitely bad; tables, figures and the page say so."""
    seeds = {seed: 0.8 + (seed * 7 % 5) / 100 for seed in range(12)}
    write_run(tmp_path / "a", seeds)
    write_run(tmp_path / "b", seeds | dict.fromkeys(range(8)), configuration(model__name="net2"))
    write_run(tmp_path / "c", dict.fromkeys(range(12)), configuration(model__name="net3"))
    report = make_report([tmp_path], metric=metric)
    summary, infinite = report.path.parent, "-∞" if metric.higher_is_better else "+∞"
    assert re.search(rf"\| net2 \| {re.escape(infinite)} \| ", (summary / "comparisons.md").read_text())
    assert "| 0-0-12 |" in (summary / "comparisons.md").read_text()
    assert f"{infinite.strip('+')} (" in (summary / "table.md").read_text()
    assert r"$\infty$" in (summary / "table.tex").read_text()
    assert typeset(infinite) in report.path.read_text()
    assert any(line.startswith("failed rounds lose every comparison") for line in report.study.warnings)


def check_page(text: str, summary: Path) -> None:
    """Tables, figures as data, links to every run, and nothing from elsewhere."""
    page = Links(text)
    assert {"table", "comparisons", "runs", "versions"} <= set(page.tables)
    assert "b" not in page.tags
    pictures = [link for link in page.links if link.startswith("data:image/svg+xml;base64,")]
    assert len(set(pictures)) == 2 * len(FIGURES)  # for dark ground and for light
    runs = [link for link in page.links if not link.startswith("data:")]
    assert len(runs) == 2
    assert all("#" not in link and "%23" in link for link in runs)
    assert all((summary / unquote(link) / "run.json").is_file() for link in runs)
    assert not re.search(r"https?://", text.replace("http://www.w3.org/2000/svg", ""))  # a name, from which nothing is loaded
    assert "still running" in text


def test_page_is_self_contained(summary: Path) -> None:
    """As it was written; names are text, never markup."""
    check_page((summary / "report.html").read_text(), summary)
    assert "aux_weight=0.5" in (summary / "report.html").read_text()


def test_names_are_escaped(tmp_path: Path) -> None:
    """A network called <b>…</b> is shown, not obeyed, also in figures."""
    write_run(tmp_path / "a", {0: 0.8, 1: 0.9}, configuration(model__name=NAME), command="python <script>alert(1)</script>")
    text = make_report([tmp_path]).path.read_text()
    assert "&lt;b&gt;net &amp; co&lt;/b&gt;" in text
    assert "b" not in Links(text).tags
    assert "<script>alert" not in text


def test_several_folders_have_a_summary_of_their_own(tmp_path: Path) -> None:
    """What compares a folder with others does not take the place of the report on it alone."""
    for name in ("one", "two", "three", "four"):
        write_run(tmp_path / name / "run", {0: 0.8, 1: 0.9}, configuration(model__name=name))
    table = (make_report([tmp_path / "one"]).path.parent / "table_paper.tex").read_text()
    both = make_report([tmp_path / "one", tmp_path / "two"], different_data=True).path
    assert both == tmp_path / "one" / "summary" / "with-two" / "report.html"
    four = make_report([tmp_path / name for name in ("one", "two", "three", "four")], different_data=True, metric=METRICS["seconds"]).path
    assert four == tmp_path / "one" / "summary" / "with-two-three-1-more" / "seconds" / "report.html"
    assert (tmp_path / "one" / "summary" / "table_paper.tex").read_text() == table
    (tmp_path / "link").symlink_to(tmp_path / "one")
    assert make_report([tmp_path / "one", tmp_path / "one", tmp_path / "link"]).path == tmp_path / "one" / "summary" / "report.html"


def test_single_rounds_have_their_losses(tmp_path: Path) -> None:
    """Where every configuration has one round, the first and the last loss stand in for what cannot be averaged; with two they do not."""
    write_run(tmp_path / "one", {0: 0.8}, configuration(model__name="net1"))
    write_run(tmp_path / "two", {0: None}, configuration(model__name="net2"))
    table = study([tmp_path]).table.set_index("label")
    assert table.loc["net1", ["first_loss", "last_loss"]].tolist() == pytest.approx([1, 1 / 3])
    assert table.loc["net2", ["first_loss", "last_loss"]].isna().all()
    write_run(tmp_path / "three", {0: 0.8, 1: 0.7}, configuration(model__name="net3"))
    assert "first_loss" not in study([tmp_path]).table


@pytest.fixture
def main(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Run the command line in this process: exit code, stdout, stderr."""

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["digitcmp.report", *map(str, arguments)])
        monkeypatch.setenv("COLUMNS", "120")
        monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)
        code = 0
        try:
            command.main()
        except SystemExit as end:
            code = int(end.code or 0)
        return code, *capsys.readouterr()

    return run


def test_command_line(tmp_path: Path, main: Callable[..., tuple[int, str, str]]) -> None:
    """The table, the warnings and where the page is; the baseline is the one asked for; the folder is the one asked for."""
    code, out, err = main(write_sweep(tmp_path / "s"), "--baseline", "aux_weight=0.5", "--out", tmp_path / "out")
    assert (code, err) == (0, "")
    assert "compared with aux_weight=0.5, paired by seed" in out
    assert "warning: 1 run is still running" in out
    assert str(tmp_path / "out" / "report.html") in out
    assert (tmp_path / "out" / "comparisons.csv").read_text().splitlines()[1].startswith("aux_weight=0,aux_weight=0.5,-5,-5,-5,0.0078125,")
    assert not (tmp_path / "s" / "summary").exists()
    assert "wider than a column" not in out
    for where in ("--out", "--publish"):
        _, out, _ = main(
            tmp_path / "s", "--compare", "--columns", "parameters,mean,median,gain,lost,rounds,seconds", where, tmp_path / where[2:]
        )
        told = "warning: table_paper.tex is wider than a column of text: leave out columns with --columns, or set it across"
        assert told in " ".join(out.split())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "digitcmp: nowhere: there is no such folder\n"),
        (["empty"], "digitcmp: empty holds no run (there is no run.json in it or below it)\n"),
        (["s", "--baseline", "aux_weight=0.4"], "(did you mean 'aux_weight=0.5'?); choose one of 'aux_weight=0', 'aux_weight=0.5'\n"),
        (
            ["s", "--metric", "digit_acuracy"],
            "there is no such column (did you mean 'digit_accuracy'?); choose one of 'test_accuracy', "
            "'digit_accuracy', 'val_accuracy', 'train_accuracy', 'train_loss', 'seconds'\n",
        ),
        (
            ["s", "--metric", "digit_accuracy"],
            "no round has a digit accuracy; choose one of 'test_accuracy', 'train_accuracy', 'train_loss', 'seconds'\n",
        ),
        (
            ["s", "--out", "s/aux_weight=0.0,50%#1/run.json"],
            "this lies in the folder of a run (PATH/s/aux_weight=0.0,50%#1); choose another folder\n",
        ),
    ],
)
def test_errors_are_one_line(
    arguments: list[str], message: str, tmp_path: Path, main: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 1, one line on stderr."""
    monkeypatch.chdir(tmp_path)
    write_sweep(tmp_path / "s")
    (tmp_path / "empty").mkdir()
    code, out, err = main(*arguments)
    assert (code, out) == (1, "")
    assert err.startswith("digitcmp: ")
    assert err.endswith(message.replace("PATH", str(tmp_path)))
    assert err.count("\n") == 1


def test_help_and_interrupt(main: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """--help explains and gives examples; Ctrl-C says that no run was touched (how it ends: tests/test_entry.py)."""
    code, out, _ = main("--help")
    assert code == 0
    assert "python -m digitcmp.report outputs/table1 --baseline net2" in out

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(build, "make_report", interrupt)
    with pytest.raises(KeyboardInterrupt, match="no run was touched"):
        main(write_sweep(tmp_path))


def test_full_disk_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A report that can't be written names the file, and the one before it stays whole."""
    write_sweep(tmp_path)
    page = make_report([tmp_path]).path
    before = page.read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(RunError, match=r"cannot write .*table\.csv: No space left on device"):
        make_report([tmp_path])
    assert page.read_bytes() == before
    assert not list(page.parent.glob(".*"))


@pytest.mark.parametrize("key", ["platform", "parameters", "resumed", "jobs", "engine", "command", "data_root"])
@pytest.mark.parametrize("value", ["zz", 5, True, [1], {"a": 1}, [{"platform": 3}], -1.5e300])
def test_one_edited_run_takes_no_other_with_it(key: str, value: object, tmp_path: Path) -> None:
    """Whatever stands in one run.json: the other run is reported on, and the edited one with it or named."""
    for name in ("a", "b"):
        write_run(tmp_path / name, {0: 0.8, 1: 0.9}, configuration(model__name=name))
    path = tmp_path / "a" / "run.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), key: value}))
    results = study([tmp_path])
    tables(results)
    assert "b" in set(results.table["label"])
    assert "a" in set(results.table["label"]) or any("left out" in line for line in results.warnings)
