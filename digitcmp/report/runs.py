"""One run's folder: its run.json and its CSV files, checked, as typed frames."""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from digitcmp.errors import RunError

WHOLE = {"seed": "int64", "epoch": "int64", "epochs": "int64", "best_epoch": "Int64"}
TEXT = {"status": "string", "error": "string"}
COUNTS = {"distance": "int64", "pairs": "int64", "right": "int64"}
SKIPPED = {"summary", ".hydra"}  # folders that hold no runs


def read_run(directory: Path) -> dict[str, Any]:
    """run.json. Raises RunError when the directory holds no readable one."""
    try:
        about: dict[str, Any] = json.loads((directory / "run.json").read_text())
    except (OSError, ValueError) as error:
        raise RunError(f"{directory} holds no run (run.json cannot be read: {error})") from error
    return about


def checked_run(directory: Path) -> dict[str, Any]:
    """run.json with all that a report needs. Raises RunError naming what is missing."""
    about = read_run(directory)
    needs = {"configuration": dict, "configuration_hash": str, "parameters": int, "seeds": list, "status": str}
    for name, kind in needs.items():
        if not isinstance(about, dict) or not isinstance(about.get(name), kind):
            raise RunError(f"{directory} holds no run (run.json has no valid {name!r})")
    return about


def read_rows(path: Path, columns: list[str] | None = None) -> pd.DataFrame:
    """A CSV file of a run with typed columns, or only the named ones: whole numbers, texts, float64 for the rest.

    Raises RunError when the file is missing or damaged.
    """
    kinds = {**WHOLE, **TEXT, **COUNTS}
    try:
        with path.open() as file:
            header = file.readline().rstrip("\n").split(",")
        numbers = dict.fromkeys([name for name in header if name not in kinds], "float64")
        return pd.read_csv(path, dtype={**kinds, **numbers}, usecols=columns, keep_default_na=False, na_values=["", "nan"])
    except (OSError, ValueError) as error:
        raise RunError(f"{path} cannot be read: {' '.join(str(error).split())}") from error


def read_whole(path: Path, columns: list[str] | None, filled: list[str]) -> pd.DataFrame:
    """As `read_rows`, for a file that must end with a whole line and have no gap in the columns `filled`.

    pandas takes a file that was cut off in the middle of a line for one with empty cells; here it is a RunError.
    """
    frame = read_rows(path, columns)
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        cut = file.read() != b"\n"
    missing = set(filled) - set(frame.columns)
    if cut or missing or bool(frame[filled].isna().to_numpy().any()):
        raise RunError(f"{path} cannot be read: it is cut off or has gaps")
    return frame


def was_tested(about: dict[str, Any]) -> bool:
    """Whether the networks of a run were shown their test pairs: not with test=false, as in a search."""
    return bool(about["configuration"].get("test", True))  # runs that are older than the key were tested


def read_rounds(directory: Path, tested: bool = True) -> pd.DataFrame:
    """rounds.csv of a run, which has validation accuracies alone where it was not tested.

    Raises RunError when it is damaged, or when a round that is done has no accuracy between 0 and 1.
    """
    path = directory / "rounds.csv"
    rounds = read_whole(path, None, ["seed", "status", "epochs", "seconds"])
    if not {"test_accuracy", "majority_accuracy", "digit_accuracy", "val_accuracy"} <= set(rounds.columns):
        raise RunError(f"{path} cannot be read: columns are missing")
    done, accuracy = rounds["status"] == "done", "test_accuracy" if tested else "val_accuracy"
    if not (done | (rounds["status"] == "failed")).all() or not rounds.loc[done, accuracy].between(0, 1).all():
        raise RunError(f"{path} cannot be read: a status is neither done nor failed, or an accuracy is not between 0 and 1")
    return rounds


def find_runs(folder: Path) -> list[Path]:
    """Every folder at or below `folder` that holds a run.json, in natural order. Raises RunError when there is none."""
    if not folder.is_dir():
        raise RunError(f"{folder}: there is no such folder")
    found = [Path(top) for top, files in walk(folder) if "run.json" in files]
    if not found:
        raise RunError(f"{folder} holds no run (there is no run.json in it or below it)")
    return sorted(found, key=lambda path: natural(str(path)))


def walk(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Folders with their files, without those that hold no runs."""
    for top, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name not in SKIPPED]
        yield top, files


def natural(text: str) -> list[tuple[int, float | str]]:
    """Sort key in which run10 comes after run9, and weight=0.1 after weight=0.03."""
    parts = re.split(r"(\d+(?:\.\d+)?)", text)  # texts and numbers in turn
    return [(0, float(part)) if place % 2 else (1, part) for place, part in enumerate(parts) if part]


def flatten(configuration: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """A nested configuration as dotted keys; lists become compact text, as one would write them on the command line."""
    flat: dict[str, Any] = {}
    for key, value in configuration.items():
        if isinstance(value, dict):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = compact(value) if isinstance(value, list) else value
    return flat


def compact(value: Any) -> str:
    """A list as text: [{channels:32,kernel:5}]."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).replace('"', "")


def typed(values: list[Any]) -> "pd.Series[Any]":
    """A column of configuration values in the narrowest type that holds them all; None becomes a missing value."""
    known = [value for value in values if value is not None]
    kinds, full = {type(value) for value in known}, len(known) == len(values)
    if kinds == {bool}:
        return pd.Series(values, dtype="bool" if full else "boolean")
    if kinds == {int}:
        return pd.Series(values, dtype="int64" if full else "Int64")
    if kinds <= {int, float}:
        return pd.Series(values, dtype="float64")
    return pd.Series([value if value is None else str(value) for value in values], dtype="string")
