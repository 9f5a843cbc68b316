"""A table of runs: those that were asked for, in the order that was asked for."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from rich.cells import cell_len

from digitcmp.counting import counted
from digitcmp.inert import line, shortened
from digitcmp.report.metrics import unknown
from digitcmp.runs.facts import FILTER, Facts, check_key, chosen, ordered, read_facts
from digitcmp.runs.found import seen_from
from digitcmp.runs.status import VALIDATED, State

ACCURACIES = {"test_accuracy": "", "val_accuracy": VALIDATED}  # and how they are marked
WIDEST = 30  # characters of a value of a key that was asked for


def list_runs(folder: Path, filters: Sequence[str], status: str | None, sort: str | None, reverse: bool) -> list[Facts]:
    """The runs at or below a folder that pass the filters, in this order (None: by their folders). Raises RunError."""
    if status and status not in (states := get_args(State)) and not set(status) & set("*?["):
        raise unknown("--status", status, "status", states)
    found = chosen(read_facts(folder), [*filters, *([f"status={status}"] if status else [])])
    if sort and found:
        return ordered(found, sort, reverse)
    return found[::-1] if reverse else found


def columns(runs: Sequence[Facts], filters: Sequence[str], sort: str | None, more: str) -> list[str]:
    """The keys that have a column of their own: those that were asked for in any way, but for what every list has. Raises RunError for one
    that none of the runs has."""
    for key in filter(None, more.split(",") if runs else []):
        check_key("--columns", key, {name for facts in runs for name in facts})
    keys = [parts[1].strip() for text in filters if (parts := FILTER.fullmatch(text))] + ([sort] if sort else []) + more.split(",")
    return [key for key in dict.fromkeys(keys) if key and key not in ("status", "done", "note", "tags", "name", "folder", *ACCURACIES)]


def as_json(runs: Sequence[Facts]) -> str:
    """All that is known of them, an object each; every character of it is ASCII."""
    return json.dumps(runs, indent=2)


def print_runs(runs: Sequence[Facts], folder: Path, keys: Sequence[str]) -> None:
    """A line a run: how it stands, rounds that are done, its accuracy, these keys, its folder, its tags and notes."""
    rows = [("status", "done", "accuracy", *map(line, keys), "run")]
    for run in runs:
        value = next((f"{100 * run[name]:.2f} %{mark}" for name, mark in ACCURACIES.items() if name in run), "")
        values = (shortened(line(shown(run.get(key))), WIDEST) for key in keys)
        rows.append(
            (
                run["status"],
                f"{run['done']}/{run['rounds']}",
                value,
                *values,
                line(f"{seen_from(Path(run['folder']), folder)}  {noted(run)}".rstrip()),
            )
        )
    widths = [max(map(cell_len, column)) for column in zip(*rows, strict=True)]
    for *cells, last in rows:
        print("  ".join([*(cell + " " * (width - cell_len(cell)) for cell, width in zip(cells, widths, strict=False)), last]))
    print(f"{counted(len(runs), 'run')} in {line(str(folder))}")


def noted(run: Facts) -> str:
    """Its tags and notes."""
    tags = "".join(f"[{tag}] " for tag in run.get("tags", []))
    return f"{tags}{run['note']}".strip() or str(run.get("damaged", ""))


def shown(value: object) -> str:
    """A value of a configuration as the command line has it."""
    if value is None:
        return "null"
    if isinstance(value, float):
        return f"{value:.6g}"
    return json.dumps(value) if isinstance(value, bool | list) else str(value)
