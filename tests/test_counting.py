"""Numbers of things in words."""

import ast
from pathlib import Path

import digitcmp
from digitcmp.counting import are, counted, part_of, seeds_of, some


def test_one_thing_and_several() -> None:
    """One has no s; none and all others have."""
    assert [counted(number, "round") for number in (0, 1, 2)] == ["0 rounds", "1 round", "2 rounds"]


def test_a_verb_and_a_long_list() -> None:
    """One is, others are; what is too many to be named is counted."""
    assert [are(number) for number in (0, 1, 2)] == ["are", "is", "are"]
    assert [part_of(number, 4, "file") for number in (1, 2, 4)] == ["1 of 4 files", "2 of 4 files", "all 4 files"]
    assert part_of(1, 1, "file") == "1 of 1 file"
    assert (seeds_of([3]), seeds_of(range(7))) == ("seed 3", "seeds 0, 1, 2, 3, 4 and 2 more")
    assert (some("abc"), some("abcdefg", "; ")) == ("a, b, c", "a; b; c; d; e and 2 more")


def test_no_other_place_makes_plurals() -> None:
    """No conditional that gives an s, or is and are, in the program's code; nor numbers in words, which others in figures stand beside."""
    forms = [{"", "s"}, {"is", "are"}, {"", "es"}]
    for path in Path(digitcmp.__file__).parent.rglob("*.py"):
        if path.name == "counting.py":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            words = {value.value for value in node.values if isinstance(value, ast.Constant)} if isinstance(node, ast.Dict) else set()
            assert not words & {"two", "three", "four", "five"}, f"{path}:{node.lineno}"  # type: ignore[attr-defined]
            ends = [node.body, node.orelse] if isinstance(node, ast.IfExp) else []
            made = {end.value for end in ends if isinstance(end, ast.Constant)} if len(ends) == 2 else set()
            assert made not in forms, f"{path}:{node.lineno}"
            repeated = isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult) and isinstance(node.left, ast.Constant)
            assert not (repeated and node.left.value == "s"), f"{path}:{node.lineno}"
