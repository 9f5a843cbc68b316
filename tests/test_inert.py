"""Text from outside is text in every outlet: whatever it holds, nothing is interpreted, and nothing breaks."""

import csv
import io
import json
import os
import re
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from jinja2 import Environment
from matplotlib.cbook import is_math_text
from rich.console import Console
from rich.text import Text

import digitcmp
from digitcmp import inert
from digitcmp.experiment.views import to_csv
from digitcmp.report import drawing, rendering
from digitcmp.report.build import document, make_report
from digitcmp.report.tables import csv_text, to_latex, to_markdown
from digitcmp.report.terminal import print_report, print_warnings
from digitcmp.terminal import Terminal, say
from tests.nasty import NASTY, TEXTS
from tests.report.made import configuration, write_run

many = settings(max_examples=300, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


@dataclass
class Row:
    """A row of a view."""

    text: str
    number: float


CELL = re.compile(r"(?<!\\)\|")


def screen(color: bool = False) -> tuple[Terminal, io.StringIO]:
    """A terminal, and what reaches it."""
    file = io.StringIO()
    return Terminal(width=80, file=file, force_terminal=color, color_system="truecolor" if color else None), file


@many
@given(TEXTS)
def test_visible_text_can_be_seen_and_written(text: str) -> None:
    """In one line, without control characters, marks of direction and lone surrogates; what can be seen stays."""
    shown = inert.visible(text)
    assert shown.isprintable()
    assert len(shown.splitlines()) <= 1
    assert shown.encode().decode() == shown
    assert not text.isprintable() or shown == text


@many
@given(TEXTS)
def test_terminal(text: str) -> None:
    """Whichever way it is printed: no control sequence but line ends, every printable character of short texts, few lines."""
    terminal, file = screen()
    say(terminal, text, "report  ")
    print_warnings([text], terminal)
    terminal.print(text)
    terminal.print(Text(text))
    out = file.getvalue()
    assert out.replace("\n", "").isprintable()
    first = out.split("\n")[0]
    assert first.startswith("report  ")
    assert len(first) <= 8 + inert.LINE
    assert len(text) > inert.WORD or first[8:].rstrip() == inert.visible(text).rstrip()


@pytest.mark.parametrize("text", ["net [bn]", "net [/bn]", "[red]x", ":smile:"])
def test_terminal_has_no_markup(text: str) -> None:
    """Brackets stay, and close nothing; words between colons are no pictures."""
    terminal, file = screen(color=True)
    terminal.print(text)
    assert file.getvalue() == f"{text}\n"


def test_styles_of_our_own_reach_the_terminal() -> None:
    """A lead is dim, what follows it is not."""
    terminal, file = screen(color=True)
    say(terminal, "\x1b[31mred", "files  ")
    assert file.getvalue() == "\x1b[2mfiles  \x1b[0m\\x1b[31mred\n"


def test_long_text_is_cut_in_the_middle() -> None:
    """The beginning and the end stay: they say what it is, and what to do."""
    assert inert.line("a" * 299 + " b") == "a" * 299 + " b"
    cut = inert.line("begin" + "a" * 10_000 + " end")
    assert cut.startswith("beginaaa")
    assert cut.endswith("a end")
    assert len(cut) <= inert.WORD + 4
    assert len(inert.line("word " * 2_000)) <= inert.LINE


class Tags(HTMLParser):
    """The tags of a page, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags, self.text = list[str](), ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del attrs
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


@many
@given(TEXTS)
def test_html(text: str) -> None:
    """Through a template as the page's: the text comes back, no tag of its own does."""
    page = Environment(autoescape=True, finalize=inert.html).from_string('<p title="{{ text }}">{{ text }}</p>').render(text=text)
    assert Tags(page).tags == ["p"]
    assert Tags(page).text == inert.visible(text)


@many
@given(TEXTS)
def test_script(text: str) -> None:
    """In a data block of a page: the text comes back, as a value and as a key, and the block ends where it should."""
    block = inert.script({"text": text, "more": [text, {text: 1.5}]})
    page = Tags(f'<script type="application/json">{block}</script><p>')
    assert page.tags == ["script", "p"]
    assert block.isascii()
    assert json.loads(page.text) == {"text": inert.visible(text), "more": [inert.visible(text), {inert.visible(text): 1.5}]}


@many
@given(TEXTS)
def test_csv(text: str) -> None:
    """A row of three cells stays one, and none begins a formula; from frames and from rows alike."""
    names = pd.Index(["a", text[:30] or "b", "c"], dtype="object")
    frame = csv_text(pd.DataFrame([[text, 1.5, None]], columns=names, dtype="object"))
    rows = list(csv.reader(io.StringIO(frame)))
    assert [len(row) for row in rows] == [3, 3] or text[:30] in ("a", "c")
    plain = to_csv(Row, [[text, 1.5]])
    rows += list(csv.reader(io.StringIO(plain)))
    assert not [cell for row in rows for cell in row if cell.startswith(tuple("=+-@\t\r")) and len(cell) > 1]
    assert len(plain.splitlines()) == 2
    assert rows[-1][0].removeprefix("'") == inert.visible(text).removeprefix("'")


@many
@given(TEXTS)
def test_markdown(text: str) -> None:
    """A table keeps its lines and cells; no tag, link, code or mathematics is left."""
    table = to_markdown(pd.DataFrame({"label": [text], "value": ["1"]}, dtype="object"))
    lines = table.splitlines()
    assert len(lines) == 3
    assert {len(CELL.findall(line.replace("\\\\", ""))) for line in lines} == {3}
    page = document(table, [text], [text])
    bare = re.sub(r"\\.", "", page.replace("**Warning:**", ""))
    assert not re.search(r"[`*$~<]|\]\(|\]:", bare)
    assert len(page.splitlines()) == 1 + 1 + 3 + 1 + 1


@many
@given(TEXTS)
def test_latex(text: str) -> None:
    """No command but ours, in the cells and in the comments; what follows the end of a row is no option of it."""
    table = to_latex(pd.DataFrame({"label": [text, text], "value": ["1", "2"]}, dtype="object"), [text])
    lines = table.splitlines()
    assert len(lines) == 10
    assert lines[1].startswith("% ")
    assert [line.endswith(r"& 1 \\") for line in lines].count(True) == 1
    known = r"\\(textbackslash\{\}|textasciitilde\{\}|textasciicircum\{\}|ldots\{\}|pm|infty|times|div|cdot|leq|geq|to|[&%$#_{}\\])"
    body = "".join(lines[4:8])
    rest = re.sub(known, "", body).replace(r"\midrule", "")
    assert "\\" not in rest
    assert not re.search(r"\\\\\s*[\[*]", "\n".join(lines[3:]))


@many
@given(TEXTS)
def test_yaml_comments(text: str) -> None:
    """Whatever stands in a comment, the document says what it said without it."""
    assert yaml.safe_load(f"# {inert.visible(text)}\na: 1\n# {inert.visible(text)}\n") == {"a": 1}


@many
@given(TEXTS)
def test_figure_text(text: str) -> None:
    """Never mathematics, never hidden from a legend, never many lines; dollar signs come back as they were."""
    label = drawing.wrapped(text)
    assert not is_math_text(label)
    assert not label.startswith("_")
    assert len(label) < 300
    assert label.replace("\n", "").isprintable()
    assert "$" not in label.replace(r"\$", "")


@pytest.mark.parametrize("text", NASTY, ids=[str(number) for number in range(len(NASTY))])
def test_figures_are_drawn(text: str) -> None:
    """As a title, an axis and an entry of a legend, in all kinds of files; a warning about a letter would fail the test."""
    figure = drawing.new_figure(2)
    axes = figure.subplots()
    axes.plot([0, 1], label=drawing.wrapped(text))
    axes.set(title=drawing.wrapped(text), xlabel=drawing.wrapped(text, 60))
    figure.legend(loc="outside right upper")
    files = rendering.files(figure)
    assert files["svg"].count(b"<svg") == 1
    assert min(map(len, files.values())) > 1000


@many
@given(TEXTS)
def test_plain_consoles_too(text: str) -> None:
    """What is printed for a test or into a file by rich's own console: text that was made inert before."""
    file = io.StringIO()
    say(Console(width=80, file=file), text)
    assert file.getvalue().replace("\n", "").isprintable()


def test_files_take_any_text(tmp_path: Path) -> None:
    """A lone surrogate, which no file can hold, is written as its escape."""
    from digitcmp.files import write_whole

    assert write_whole(tmp_path / "a", "\ud800").read_text() == r"\ud800"


def as_folder(text: str) -> str | None:
    """A text as the name of a folder, None where no file system takes it."""
    try:
        name = os.fsencode(text.replace("/", "").replace("\x00", ""))
    except UnicodeEncodeError:
        return None
    return os.fsdecode(name[:200]) if name.strip(b" .") else None


def test_a_whole_report_of_nasty_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Networks, folders, commands, versions and errors that hold all of it: every file is written, and the screen shows text."""
    top = tmp_path / "=sweep\n\x1b[31m$x_$"
    for number, text in enumerate(NASTY):
        folder = as_folder(text) or f"run{number}"
        about = {"command": text, "engine": text, "git_commit": text, "torch": text}
        write_run(top / f"{folder}", {0: 0.8, 1: 0.9}, configuration(model__name=f"{number}{text}", data__source=NASTY[-1]), **about)
    monkeypatch.setattr("digitcmp.report.build.MOST_CURVES", len(NASTY))
    report = make_report([top])
    terminal, file = screen()
    print_report(report, terminal)
    assert file.getvalue().replace("\n", "").isprintable()
    written = {path.name: path.read_text() for path in (top / "summary").iterdir() if path.suffix in (".csv", ".md", ".tex", ".html")}
    tables = {f"{name}.{kind}" for name in ("table", "comparisons") for kind in ("csv", "md", "tex")}
    assert tables | {"table_paper.tex", "report.html"} == set(written)
    for name, text in written.items():
        assert text.replace("\n", "").isprintable(), name
    assert "b" not in (tags := Tags(written["report.html"]).tags)
    assert tags.count("script") == 2  # of its own, and its data
    assert {len(row) for row in csv.reader(io.StringIO(written["table.csv"]))} == {len(written["table.csv"].split("\n")[0].split(","))}
    assert len(report.study.table) == len(NASTY)
    assert len(digitcmp.load_rounds(top)) == 2 * len(NASTY)
    assert (top / "run44" / "curves.png").is_file()
