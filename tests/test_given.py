"""What a Python program hands over: it is what it should be, or refused in one line that names it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import digitcmp
from digitcmp.errors import DigitcmpError
from digitcmp.given import folder_of, shown, truth_of, whole_of
from tests.report.made import write_run

NOTHING: list[Any] = [None, 3, 0.5, b"a", bytearray(b"a"), np.array(["a"]), np.float64(1), {"a"}, ["a"], object, {}, "", "a\0b", lambda: 1]
TAKERS: dict[str, Callable[[Any], Any]] = {
    "run": lambda value: digitcmp.run([], value),
    "sweep": lambda value: digitcmp.sweep([], value),
    "Result": digitcmp.Result,
    "load_rounds": digitcmp.load_rounds,
    "load_epochs": digitcmp.load_epochs,
    "load_model": digitcmp.load_model,
}


@pytest.mark.parametrize("take", TAKERS.values(), ids=TAKERS)
def test_no_folder(take: Callable[[Any], Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is no folder is refused wherever one is taken, and nothing is made of it."""
    monkeypatch.chdir(tmp_path)
    for value in NOTHING if take not in (TAKERS["run"], TAKERS["sweep"]) else NOTHING[1:]:  # None: by date and time
        with pytest.raises(DigitcmpError, match="this is no folder") as raised:
            take(value)
        assert str(raised.value).isprintable()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("folder", ["x" * 300, "x" * 100_000, "a/" * 5_000])
def test_no_such_folder(folder: str) -> None:
    """Names that no file system has are refused in one short line."""
    result = digitcmp.Result(folder)
    for take in (lambda: result.runs, lambda: result.rounds, result.table, lambda: digitcmp.load_model(folder)):
        with pytest.raises(DigitcmpError) as raised:
            take()
        assert len(str(raised.value)) <= 1000
    assert "\n" in repr(result)


def test_no_name(tmp_path: Path) -> None:
    """A metric or a baseline that is no text is one that there is not."""
    write_run(tmp_path / "a", {0: 0.8, 1: 0.7})
    result = digitcmp.Result(tmp_path)
    for value in (3, b"net1", ["net1"], {"net1"}, np.array(["net1", "x"]), object()):
        with pytest.raises(DigitcmpError, match=r"metric .*: there is no such column; choose one of"):
            result.table(value)  # type: ignore[arg-type]
        with pytest.raises(DigitcmpError, match=r"baseline .*: there is no such configuration; choose one of"):
            result.comparisons(value)  # type: ignore[arg-type]


def test_numbers() -> None:
    """NumPy's whole numbers are some; truth values are none, and nothing else is a truth value."""
    assert whole_of("seed", np.int64(3)) == 3
    for value in (True, 1.0, "1", None, np.arange(2), float("nan")):
        with pytest.raises(DigitcmpError, match=r"^seed=.*: must be a whole number"):
            whole_of("seed", value)
    for value in (1, None, "no", np.arange(2)):
        with pytest.raises(DigitcmpError, match=r"^progress=.*: must be True or False"):
            truth_of("progress", value)


def test_folders(tmp_path: Path) -> None:
    """Texts and paths are folders."""
    assert folder_of(str(tmp_path)) == folder_of(tmp_path) == tmp_path


@pytest.mark.parametrize("name", ["load_rounds", "load_epochs", "load_model"])
def test_home(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tilde is the home folder wherever a folder is taken; before the name of nobody it is a letter as any other, as in a shell."""
    monkeypatch.setenv("HOME", str(tmp_path))
    assert folder_of("~/x") == folder_of(Path("~/x")) == digitcmp.Result("~/x").folder == tmp_path / "x"
    assert folder_of("~nobody.of.this.name/x") == Path("~nobody.of.this.name/x")
    with pytest.raises(DigitcmpError, match=f"{tmp_path}/x"):
        TAKERS[name]("~/x")


def test_a_run_at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It goes there, and not into a folder that is called so."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    assert digitcmp.run(["dry_run=true"], "~/x", progress=False).folder == tmp_path / "home" / "x"
    assert not Path("~").exists()


def test_an_error_is_one_line() -> None:
    """Of a length that can be read, whatever is quoted in it: a program prints it, too."""
    assert str(DigitcmpError("a\nb\x1b[31m " + "c" * 10**6)).startswith(r"a b\x1b[31m ccc")
    assert len(str(DigitcmpError("c" * 10**6))) < 1000
    assert len(shown("c" * 10**6)) <= 100
