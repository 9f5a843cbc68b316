"""From Python's values to a command line: whatever is given arrives as it is, or is refused in one line."""

from enum import Enum, StrEnum
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given, settings
from hypothesis import strategies as st

from digitcmp.api.overrides import arguments_of
from digitcmp.errors import ConfigError

PLAIN = st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.floats(allow_nan=False, allow_infinity=False)
TEXT = st.text(st.characters(codec="ascii", exclude_categories=["Cc"])).filter(lambda text: not text.endswith("\\"))
KEYS = st.from_regex(r"[a-z_]{1,8}", fullmatch=True)
VALUES = st.recursive(PLAIN | TEXT, lambda part: st.lists(part, max_size=3) | st.dictionaries(KEYS, part, min_size=1, max_size=3))


class Unread:
    """A value that cannot say what it is."""

    def tolist(self) -> object:
        raise RuntimeError("no list")

    def __repr__(self) -> str:
        raise RuntimeError("no text")


class Lines:
    """A value whose text has lines, and what a terminal takes for a command."""

    def __repr__(self) -> str:
        return "one\ntwo\x1b"


class Network(StrEnum):
    """Names in an enumeration; that of another kind, whose text is not its value."""

    WSN = "wsn"


class Odd(str, Enum):  # noqa: UP042
    """Of the older kind."""

    WSN = "wsn"


def within_itself() -> list[Any]:
    """A list that holds itself."""
    found: list[Any] = []
    found.append(found)
    return found


def mapping_within_itself() -> dict[str, Any]:
    """A mapping that holds itself."""
    found: dict[str, Any] = {}
    found["a"] = found
    return found


@settings(deadline=None)
@given(st.dictionaries(KEYS, PLAIN | st.lists(VALUES, max_size=4)))
def test_values_arrive(overrides: dict[str, Any]) -> None:
    """Numbers, words and whatever is in lists is read by Hydra as what it is."""
    arguments = arguments_of(overrides, several=False)
    found = OverridesParser.create().parse_overrides(arguments)
    assert {one.key_or_group: one.value() for one in found} == overrides


@pytest.mark.parametrize(
    ("overrides", "arguments"),
    [
        ({"model": "wsn", "aux_weight": 0.5, "optimizer": {"lr": 0.1}}, ["model=wsn", "aux_weight=0.5", "optimizer.lr=0.1"]),
        ({"+experiment": "net4", "model.dropout": 0, "save_model": True, "workers": None}, None),
        ({"columns": ["plain", "moments"], "optimizer.betas": (0.9, 0.99)}, ["columns=[plain,moments]", "optimizer.betas=[0.9,0.99]"]),
        ({"seed": np.int64(3), "aux_weight": np.float32(0.5)}, ["seed=3", "aux_weight=0.5"]),
        ({"data.root": Path("a b,c")}, ["data.root='a b,c'"]),
        ({"callbacks": {}}, ["callbacks={}"]),
        ({"model": Odd.WSN, "tags": [Odd.WSN, Network.WSN]}, ["model=wsn", "tags=[wsn,wsn]"]),
        (["model=wsn", "rounds=2"], ["model=wsn", "rounds=2"]),
        ((), []),
    ],
)
def test_one_run(overrides: Any, arguments: list[str] | None) -> None:
    """As on the command line."""
    arguments = ["+experiment=net4", "model.dropout=0", "save_model=true", "workers=null"] if arguments is None else arguments
    assert arguments_of(overrides, several=False) == arguments


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (["net1", "wsn"], "net1,wsn"),
        (range(3), "0,1,2"),
        (np.array([0.1, 0.25]), "0.1,0.25"),
        ([["plain"], ["plain", "moments"]], "[plain],[plain,moments]"),
        ([7], "7"),
        ("range(10)", "range(10)"),
        (4, "4"),
        ([True, None], "true,null"),
        ([Path("a b"), Path("c")], "'a b','c'"),
    ],
)
def test_many_runs(value: Any, text: str) -> None:
    """A list is a run each."""
    assert arguments_of({"key": value}, several=True) == [f"key={text}"]


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({"model": object}, "a type is no value"),
        ({"a": {"b": {1, 2}}}, "a.b={1, 2}: a set is no value"),
        ({3: "net1"}, "a key is a text"),
        ({"": 1}, "a key is a text"),
        ({"a=b": 1}, "a key is a text"),
        ("model=wsn", "give a dictionary"),
        ([1], "give a dictionary"),
        (["--multirun", "model=wsn"], "digitcmp.sweep for many"),
        (["--help"], "this is for the command line"),
        (["--cfg=job"], "this is for the command line"),
        ({"--multirun": True}, "digitcmp.sweep for many"),
        ({"--help": True}, "this is for the command line"),
        (None, "None: give a dictionary"),
        (3, "3: give a dictionary"),
        (b"model=wsn", "give a dictionary"),
        ((text for text in ("model=wsn",)), "give a dictionary"),  # all of it is read by whoever looks at it
        ({"model=wsn", "rounds=2"}, "give a dictionary"),
        (np.array(["model=wsn"]), "give a dictionary"),
        ({"seed": 10**5000}, "seed=<int>: this cannot be written as a value"),
        ({"seed": range(10**9)}, r"seed=range\(0, 1000000000\): these are 1,000,000,000 values"),
        ({"seed": Unread()}, "seed=<Unread>: this cannot be written as a value .RuntimeError: no list"),
        ({"columns": within_itself()}, "columns=.*: this cannot be written as a value"),
        ({"a": mapping_within_itself()}, r"a\.a\.a\..*: more than 20 dictionaries within each other"),
        ({"data.root": b"a"}, "data.root=b'a': a bytes is no value"),
        ({"data.root": Lines()}, r"data.root=one\\ntwo\\x1b: a Lines is no value"),
        ({"hydra.sweeper.storage": b"postgresql://me:pw0rd@h/x"}, r"storage=b'postgresql://me:\*\*\*@h/x': a bytes is no value"),
    ],
)
def test_refused(overrides: Any, words: str) -> None:
    """In one line."""
    with pytest.raises(ConfigError, match=words) as raised:
        arguments_of(overrides, several=False)
    assert str(raised.value).isprintable()


def test_no_values() -> None:
    """An empty list makes no run."""
    with pytest.raises(ConfigError, match=r"seed=\[\]: there are no values"):
        arguments_of({"seed": []}, several=True)
