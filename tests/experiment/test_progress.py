"""The line that follows rounds, as a terminal shows it."""

import contextlib
import io
from dataclasses import replace
from pathlib import Path

import pyte
import pytest
from rich.console import Console

from digitcmp.experiment.progress import ProgressDisplay
from digitcmp.experiment.run import Run
from digitcmp.train.results import RoundResult
from tests.conftest import compose_config
from tests.experiment.made import EPOCH, ROUND


class Emulated:
    """A terminal of so many columns and ten rows, and a console that prints to it."""

    def __init__(self, columns: int) -> None:
        self.screen, self.out = pyte.Screen(columns, 10), io.StringIO()
        self.stream = pyte.Stream(self.screen)
        self.console = Console(file=self.out, force_terminal=True, width=columns, height=10, legacy_windows=False)

    def lines(self) -> list[str]:
        """What stands on the screen, row by row, without the empty ones."""
        self.stream.feed(self.out.getvalue().replace("\n", "\r\n"))
        self.out.seek(0)
        self.out.truncate()
        return [line.rstrip() for line in self.screen.display if line.strip()]


def follow(display: ProgressDisplay, run: Run, epochs: int) -> None:
    """A round that ends, and one on its way."""
    display.on_run_begin(run)
    for epoch in range(1, epochs + 1):
        display.on_epoch(run, replace(EPOCH, seed=0, epoch=epoch))
    display.on_round_end(run, RoundResult(replace(ROUND, seed=0)))
    display.on_epoch(run, replace(EPOCH, seed=1, epoch=1))
    display.bar.refresh()


@pytest.mark.parametrize("columns", [120, 80, 60, 40, 20])
def test_the_line_fits(columns: int, tmp_path: Path) -> None:
    """One row, with the count and the time left however narrow it is; then come figures, then a bar. Nothing stays behind."""
    terminal = Emulated(columns)
    run = Run(compose_config("epochs=60", "rounds=400"), tmp_path / "net2", "test")
    with ProgressDisplay.of([run], terminal.console) as display:
        display.on_run_begin(run)
        display.on_epoch(run, replace(EPOCH, seed=0, epoch=1))
        display.bar.refresh()
        (line,) = terminal.lines()
        assert "1 of 24000 epochs" in line  # it moves before the first round is through
        follow(display, run, 60)
        (line,) = terminal.lines()
        assert "1 of 400 rounds" in line
        assert columns < 40 or line.endswith("left")
        assert columns < 80 or "━" in line
        assert columns < 60 or "accuracy" in line
        assert columns < 80 or line.startswith("net2: ")
    assert not terminal.lines()


@pytest.mark.parametrize(("less", "best"), [(False, "best so far 90.00%"), (True, "best so far 40.00%")])
def test_the_best_of_a_search_is_that_of_its_direction(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, less: bool, best: str) -> None:
    """The highest, or the lowest where less is better, of the trials of earlier commands and those of this one."""
    terminal = Emulated(80)
    run = Run(compose_config("epochs=2"), tmp_path / "trial_0007", "test")
    for given, values in ((None, [0.6, 0.4, 0.9, 0.5]), (0.4, [0.6, 0.9]), (0.9, [0.6, 0.4])):
        with ProgressDisplay.of_search("search", 60, 6, given, terminal.console, less) as display:
            display.on_run_begin(run)
            display.bar.refresh()
            assert ("no trial complete yet" in terminal.lines()[0]) == (given is None)
            for value in values:
                monkeypatch.setattr(Run, "rows", [replace(ROUND, val_accuracy=value)])
                display.on_run_end(run)
            display.bar.refresh()
            assert best in terminal.lines()[0]


def test_the_line_of_a_search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """How many trials there are already, how good the best is, and the time left, at 80 columns; pruned and failed trials count and are no
    best."""
    terminal = Emulated(80)
    run = Run(compose_config("epochs=2"), tmp_path / "trial_0007", "test")
    with ProgressDisplay.of_search("search", 60, 6, 0.8512, terminal.console) as display:
        display.on_run_begin(run)
        display.bar.refresh()
        (line,) = terminal.lines()
        assert line.startswith("search: 6 of 60 trials")
        assert "best so far 85.12%" in line
        assert line.endswith("left")
        display.on_epoch(run, replace(EPOCH, seed=0, epoch=1))
        assert display.bar.tasks[0].completed == 6.5  # half of it
        display.on_run_end(run)  # it has no rounds: no better
        assert display.bar.tasks[0].completed == 7
        run.pruned = True
        display.on_run_end(run)
        display.bar.refresh()
        (line,) = terminal.lines()
        assert line.startswith("search: 8 of 60 trials")
        assert "best so far 85.12%" in line
        run.pruned, good = False, replace(ROUND, val_accuracy=0.99)
        monkeypatch.setattr(Run, "rows", [good, replace(good, seed=1, status="failed")])
        display.on_run_end(run)
        display.bar.refresh()
        assert "best so far 85.12%" in terminal.lines()[0]
        monkeypatch.setattr(Run, "rows", [good])
        display.on_run_end(run)
        display.bar.refresh()
        assert "best so far 99.00%" in terminal.lines()[0]


def test_the_line_of_one_round(tmp_path: Path) -> None:
    """Its epochs, where there is one round alone."""
    terminal = Emulated(80)
    run = Run(compose_config("epochs=60"), tmp_path / "net2", "test")
    with ProgressDisplay.of([run], terminal.console) as display:
        display.on_run_begin(run)
        display.on_epoch(run, replace(EPOCH, seed=0, epoch=3))
        display.bar.refresh()
        (line,) = terminal.lines()
        assert line.startswith("net2: 3 of 60 epochs")


@pytest.mark.parametrize("end", [None, ValueError("a fault"), KeyboardInterrupt()])
def test_no_bar_stays_behind(end: BaseException | None, tmp_path: Path) -> None:
    """At the end, after an error, after Ctrl-C, whose two characters the terminal itself has put into the line; the cursor is there
    again, and what was said stays."""
    terminal = Emulated(80)
    run = Run(compose_config("epochs=60", "rounds=400"), tmp_path / "net2", "test")
    with contextlib.suppress(ValueError, KeyboardInterrupt), ProgressDisplay.of([run], terminal.console) as display:
        follow(display, run, 60)
        display.on_message("a warning")
        assert len(terminal.lines()) == 2
        assert terminal.screen.cursor.hidden
        terminal.out.write("^C")
        if end is not None:
            raise end
    assert terminal.lines() == ["a warning"]
    assert not terminal.screen.cursor.hidden


def test_a_terminal_that_takes_nothing_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """TERM=dumb: plain lines, as in a file, and no control characters."""
    monkeypatch.setenv("TERM", "dumb")
    terminal = Emulated(80)
    run = Run(compose_config("epochs=3"), tmp_path / "net2", "test")
    with ProgressDisplay.of([run], terminal.console) as display:
        display.on_run_begin(run)
        display.on_epoch(run, replace(EPOCH, seed=0, epoch=1))
    assert terminal.out.getvalue().startswith("net2: 1 round, 3 epochs in all\nepoch   1/3  loss ")
    assert "\x1b" not in terminal.out.getvalue()
