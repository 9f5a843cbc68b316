"""The records of a run: append-only logs, one per writing process, one line per finished round.

A line is JSON with a checksum in front of everything else,

    {"check":"<CRC-32 and length of the rest, 8 hexadecimal digits each>","configuration":…,"finished":…,"round":…,
     "epochs":…,"distances":…,"confusion":…}

so that whatever happens to a file, a round is either what was recorded or known to be damaged, and damage never reaches
its neighbours: records are found by how they begin, not by where a line ends. Epochs, distances and confusion (which earlier
versions did not record) are columns (name to list). CSV files are views of the records, written for people and other programs,
and never read, but where a run is published without its logs (`digitcmp.experiment.published`).
"""

import json
import re
import zlib
from codecs import BOM_UTF8
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, fields
from itertools import repeat
from typing import Any, Literal

from digitcmp.errors import DAMAGED
from digitcmp.experiment.row_types import CONFUSION_KINDS, DISTANCE_KINDS, EPOCH_KINDS, ROUND_KINDS, Kinds, are_columns, is_row
from digitcmp.train.results import ConfusionRow, DistanceRow, EpochRow, RoundResult, RoundRow

FOLDER = "records"
START = re.compile(rb'\{"check":"([0-9a-f]{8})([0-9a-f]{8})",')
# where the parts of a line begin; cannot occur inside a JSON text, where quotes are escaped
EPOCHS, DISTANCES, CONFUSION = b',"epochs":{', b',"distances":{', b',"confusion":{'
MOST_LINES = 5  # damaged ones side by side that are named one by one
Part = Literal["epochs", "distances", "confusion"]
PartRow = EpochRow | DistanceRow | ConfusionRow
DIGITS = ".8g"  # all that single precision knows


@dataclass(frozen=True)
class Record:
    """A finished round as a log has it. text: its line; finished: when it was recorded, UTC; log: the file's name."""

    configuration: str
    finished: str
    row: RoundRow
    text: bytes = field(repr=False)
    log: str = ""

    def columns(self, part: Part) -> dict[str, list[Any]]:
        """The columns of a part; none of what is not on record. Only that part of the line is read."""
        confusion = self.text.rfind(CONFUSION)
        begins = [self.text.index(EPOCHS), self.text.rindex(DISTANCES), *([] if confusion < 0 else [confusion]), -1]
        place = {"epochs": 0, "distances": 1, "confusion": 2}[part]
        if begins[place] < 0:
            return {}
        columns: dict[str, list[Any]] = json.loads(self.text[self.text.index(b"{", begins[place]) : begins[place + 1]])
        return columns

    @property
    def is_whole(self) -> bool:
        """Whether its parts can be read: only a program other than this one writes lines in which they cannot."""
        parts: dict[Part, Kinds] = {"epochs": EPOCH_KINDS, "distances": DISTANCE_KINDS}
        try:
            confusion = self.columns("confusion")
            known = all(are_columns(self.columns(part), kinds) for part, kinds in parts.items())
            return known and (not confusion or are_columns(confusion, CONFUSION_KINDS))
        except (ValueError, RecursionError):
            return False

    def column(self, part: Literal["epochs", "distances"], name: str) -> bytes:
        """One of these columns as its values stand in the line (`0.5,null`): where few are wanted, much faster than `columns`."""
        key = b'"%s":[' % name.encode()
        begin = self.text.index(key, self.text.index(EPOCHS) if part == "epochs" else self.text.rindex(DISTANCES)) + len(key)
        return self.text[begin : self.text.index(b"]", begin)]

    def values(self, part: Part, kind: type[PartRow]) -> Iterator[tuple[Any, ...]]:
        """The rows of a part as plain values, in the order of the fields of their kind."""
        if not (columns := self.columns(part)):
            return iter(())
        return zip(repeat(self.row.seed), *(columns[item.name] for item in fields(kind) if item.name != "seed"), strict=False)

    @property
    def epochs(self) -> list[EpochRow]:
        """Its epochs in their order."""
        return [EpochRow(*values) for values in self.values("epochs", EpochRow)]

    @property
    def distances(self) -> list[DistanceRow]:
        """Its distances in their order."""
        return [DistanceRow(*values) for values in self.values("distances", DistanceRow)]

    @property
    def confusion(self) -> list[ConfusionRow]:
        """The classes of its test pairs, in their order; none where an earlier version recorded it."""
        return [ConfusionRow(*values) for values in self.values("confusion", ConfusionRow)]

    def supersedes(self, other: "Record") -> bool:
        """Whether it counts instead of another record of the same seed: a round that is done before one that failed, the first
        of those that are done, the last of those that failed."""
        mine, theirs = self.row.status == "done", other.row.status == "done"
        if mine != theirs:
            return mine
        return ((self.finished, self.log) < (other.finished, other.log)) == mine


@dataclass
class Records:
    """What is on record in a run's folder. rounds: by seed, in their order; damaged: a line of text per record that is left out."""

    rounds: dict[int, Record] = field(default_factory=dict)
    damaged: list[str] = field(default_factory=list)

    def add(self, record: Record) -> None:
        """Take a record in."""
        before = self.rounds.get(record.row.seed)
        if before is None or record.supersedes(before):
            self.rounds[record.row.seed] = record


def rounded(value: Any) -> Any:
    """A number with as many digits as are recorded."""
    return float(format(value, DIGITS)) if isinstance(value, float) else value


def to_record(result: RoundResult, configuration: str, finished: str, log: str) -> tuple[Record, bytes]:
    """The record of a round that has ended, without its text, and its line."""
    row = RoundRow(**{name: rounded(value) for name, value in asdict(result.row).items()})
    parts = {"configuration": configuration, "finished": finished, "round": vars(row)}
    parts |= {"epochs": to_columns(EpochRow, result.epochs), "distances": to_columns(DistanceRow, result.distances)}
    parts |= {"confusion": to_columns(ConfusionRow, result.confusion)} if result.confusion else {}
    rest = json.dumps(parts, separators=(",", ":"))[1:].encode()
    return Record(configuration, finished, row, b"", log), b'{"check":"%08x%08x",%s\n' % (zlib.crc32(rest), len(rest), rest)


def to_columns(kind: type[PartRow], rows: Sequence[PartRow]) -> dict[str, list[Any]]:
    """Rows of one round as columns, without the seed."""
    return {item.name: [rounded(getattr(row, item.name)) for row in rows] for item in fields(kind) if item.name != "seed"}


def parse(data: bytes, log: str, lines: int = 0) -> tuple[list[Record], list[str], int]:
    """The records in a log, a text for each line of it that is none, and where the last record ends. lines: how many are before these.

    A stretch between two records that is not blank is damaged; what follows the last one may also be a line that is being written.
    """
    records: list[Record] = []
    damaged: list[str] = []
    begin = end = 0  # of the search for the next record; of the last record
    while found := START.search(data, begin):
        checksum, length = (int(number, 16) for number in found.groups())
        rest = data[found.end() : found.end() + length]
        record = to_round(found[0] + rest, log) if len(rest) == length and zlib.crc32(rest) == checksum else None
        begin = found.end()
        if record is not None:
            damaged += damage(data, end, found.start(), log, lines)
            records.append(record)
            begin = end = found.end() + length
    return records, [*damaged, *damage(data, end, len(data), log, lines)], end


def holds_whole(data: bytes) -> bool:
    """Whether there is a line in a log that is as it was written, by whatever version."""
    lines = ((data[found.end() : found.end() + int(found[2], 16)], found) for found in START.finditer(data))
    return any(len(rest) == int(found[2], 16) and zlib.crc32(rest) == int(found[1], 16) for rest, found in lines)


def damage(data: bytes, begin: int, end: int, log: str, lines_before: int) -> list[str]:
    """A text for each line in a stretch without records; one for all of them where there are many."""
    stretch = data[begin:end].removeprefix(b"" if begin or lines_before else BOM_UTF8)  # which an editor has put in front
    if not stretch.strip():
        return []
    before = lines_before + data.count(b"\n", 0, begin)
    lines = [number for number, line in enumerate(stretch.split(b"\n"), before + 1) if line.strip()]
    if len(lines) > MOST_LINES:
        return [f"{FOLDER}/{log}, lines {lines[0]} to {lines[-1]}, are damaged; what they recorded is left out"]
    kinds = ["is damaged"] * len(lines)
    if end == len(data) and not data.endswith(b"\n"):
        kinds[-1] = "is not whole (it was being written)"
    return [f"{FOLDER}/{log}, line {number}, {kind}; its round is left out" for number, kind in zip(lines, kinds, strict=True)]


def to_round(text: bytes, log: str) -> Record | None:
    """A record from its line, of which only the round is read at first; None when another version has written other columns."""
    try:
        front = json.loads(text[: text.index(EPOCHS)] + b"}")
        sound = all(isinstance(front[name], str) for name in ("configuration", "finished")) and is_row(front["round"], ROUND_KINDS)
        return Record(front["configuration"], front["finished"], RoundRow(**front["round"]), text, log) if sound else None
    except DAMAGED:
        return None
