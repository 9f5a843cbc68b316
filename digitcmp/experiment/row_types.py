"""Whether values read from a file are the rows that they say they are."""

from typing import Any, get_args, get_type_hints

from digitcmp.train.results import ConfusionRow, DistanceRow, EpochRow, RoundRow

Kinds = dict[str, tuple[type | str, ...]]  # the types of the values of a row, by field, or the words that they may be


def kinds_of(row: type) -> Kinds:
    """What the values in a row of this kind may be, by field; whole numbers are numbers, too."""
    found = {name: get_args(hint) or (hint,) for name, hint in get_type_hints(row).items()}
    return {name: (*kinds, int) if float in kinds else kinds for name, kinds in found.items()}


ROUND_KINDS, EPOCH_KINDS, DISTANCE_KINDS = kinds_of(RoundRow), kinds_of(EpochRow), kinds_of(DistanceRow)
CONFUSION_KINDS = kinds_of(ConfusionRow)
LARGEST = 2**63 - 1  # of whole numbers in tables


def is_row(values: Any, kinds: Kinds) -> bool:
    """Whether values have the fields of a row, each with its type, and no number that tables cannot hold."""
    return isinstance(values, dict) and values.keys() == kinds.keys() and all(is_value(values[name], kinds[name]) for name in kinds)


def is_value(value: Any, kinds: tuple[type | str, ...]) -> bool:
    """Whether a value has one of these types, or is one of these words; true is no number."""
    return (type(value) in kinds or (isinstance(value, str) and value in kinds)) and not (type(value) is int and not 0 <= value <= LARGEST)


def are_columns(columns: Any, kinds: Kinds) -> bool:
    """Whether columns are those of rows with these fields (but for the seed), of one length, each value with its type."""
    names = set(kinds) - {"seed"}
    if not isinstance(columns, dict) or columns.keys() != names or not all(isinstance(column, list) for column in columns.values()):
        return False
    return len({len(column) for column in columns.values()}) == 1 and all(
        is_value(value, kinds[name]) for name in names for value in columns[name]
    )
