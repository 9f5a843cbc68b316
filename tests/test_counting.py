"""Numbers of things in words."""

from digitcmp.counting import counted


def test_one_thing_and_several() -> None:
    """One has no s; none and all others have."""
    assert [counted(number, "round") for number in (0, 1, 2)] == ["0 rounds", "1 round", "2 rounds"]
