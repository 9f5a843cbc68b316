"""The records of runs as frames."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from digitcmp.config.identity import flat
from digitcmp.counting import seeds_of, some
from digitcmp.errors import DAMAGED, RunError
from digitcmp.experiment.published import read_records
from digitcmp.experiment.records import Record, Records
from digitcmp.inert import storable
from digitcmp.train.results import DistanceRow, EpochRow, RoundRow

WHOLE = dict.fromkeys(("seed", "epoch", "epochs", "distance", "pairs", "right"), "int64") | {"best_epoch": "Int64"}
TEXT = {"status": "string", "error": "string"}
ROUND_COLUMNS = [item.name for item in fields(RoundRow)]
EPOCH_COLUMNS = [item.name for item in fields(EpochRow) if item.name != "seed"]
DISTANCES = [item.name for item in fields(DistanceRow) if item.name != "seed"]


@dataclass(frozen=True)
class RunFrames:
    """What a run has on record, by seed. rounds: as `RoundRow`; epochs, distances: as `EpochRow`, `DistanceRow`, those columns that
    were asked for. damaged: a line of text per record that is left out."""

    rounds: pd.DataFrame
    epochs: pd.DataFrame
    distances: pd.DataFrame
    damaged: list[str]


def read_frames(
    directory: Path, about: dict[str, Any], columns: Sequence[str] = EPOCH_COLUMNS, read: Callable[..., Records] = read_records
) -> RunFrames:
    """The records of a run as typed frames: float64, int64 (Int64 for best_epoch), string.

    columns: those of the epochs; none: neither epochs nor distances. read: what reads the records. A run that cannot be read is one that
    is damaged as a whole.
    """
    try:
        records = read(directory, about)
        damaged = [f"{directory}: {line}" for line in records.damaged]
    except RunError as error:
        records, damaged = Records(), [f"{error}; its rounds are left out"]
    if not directory.is_dir():  # or it would be one that has no rounds yet
        records, damaged = Records(), [f"{directory}: this folder was removed while it was read; its rounds are left out"]
    found = list(records.rounds.values())
    try:
        epochs, distances = parts(found, "epochs", columns), parts(found, "distances", DISTANCES if columns else ())
    except DAMAGED:  # a checksum that is right does not make its line a record
        foreign = [record.row.seed for record in found if not record.is_whole]
        damaged.append(f"{directory}: the epochs of {seeds_of(foreign)} are no epochs; these rounds are left out")
        found = [record for record in found if record.row.seed not in foreign]
        epochs, distances = parts(found, "epochs", columns), parts(found, "distances", DISTANCES if columns else ())
    return RunFrames(round_frame([record.row for record in found]), epochs, distances, damaged)


def round_frame(rows: Sequence[RoundRow]) -> pd.DataFrame:
    """Rounds as a typed frame; no error is a missing value."""
    frame = pd.DataFrame([{**vars(row), "error": storable(row.error) or None} for row in rows], columns=ROUND_COLUMNS)
    return frame.astype({name: WHOLE.get(name, TEXT.get(name, "float64")) for name in ROUND_COLUMNS})


def parts(records: Sequence[Record], part: Literal["epochs", "distances"], names: Sequence[str]) -> pd.DataFrame:
    """These columns of a part of all records, below each other, with the seed of each in front."""
    texts = {name: [record.column(part, name) for record in records] for name in names}
    lengths = [text.count(b",") + (text != b"") for text in texts[names[0]]] if names else 0
    frame = {"seed": np.repeat(np.array([record.row.seed for record in records], dtype="int64"), lengths)}
    for name, found in texts.items():
        values = json.loads(b"[%s]" % b",".join(filter(None, found)))  # once for all records: that is what takes the time
        frame[name] = np.array(values, dtype=WHOLE.get(name, "float64"))
    return pd.DataFrame(frame)


def was_tested(about: dict[str, Any]) -> bool:
    """Whether the networks of a run were shown their test pairs: not with test=false, as in a search."""
    return bool(about["configuration"].get("test", True))  # runs that are older than the key were tested


def flatten(configuration: dict[str, Any]) -> dict[str, Any]:
    """A nested configuration as dotted keys; lists become compact text, as on the command line: [{channels:32,kernel:5}]."""
    return {key: as_text(value) for key, value in flat(configuration).items()}


def as_text(value: Any) -> Any:
    """A list as compact text; another value as it is."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).replace('"', "") if isinstance(value, list) else value


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
    return pd.Series([value if value is None else storable(str(value)) for value in values], dtype="string")


def about_pictures(directories: Sequence[Path], abouts: Sequence[dict[str, Any]]) -> list[str]:
    """What took no part of the pictures that runs were trained and tested on, and of which runs: it changes what an accuracy means."""
    found: dict[str, list[str]] = {}
    for directory, about in zip(directories, abouts, strict=True):
        if texts := about.get("left_out"):
            found.setdefault(", ".join(texts), []).append(directory.name)
    return [f"data=folder: {told}: {'all runs' if len(names) == len(abouts) else some(names)}" for told, names in found.items()]
