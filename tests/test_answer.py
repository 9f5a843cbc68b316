"""docs/results/answer.md says what the published effects say."""

from pathlib import Path

import pandas as pd
import pytest

RESULTS = Path(__file__).parent.parent / "docs" / "results"
PAGE = (RESULTS / "answer.md").read_text(encoding="utf-8")
NAMES = {"aux_weight": "auxiliary loss", "weight_sharing": "weight sharing", "batchnorm": "batch norm", "dropout": "dropout"}


def signed(value: float) -> str:
    """As the page has differences."""
    return f"{value:+.2f}".replace("-", "\N{MINUS SIGN}")


def estimate(row: "pd.Series[float]", name: str) -> str:
    """An effect with its interval."""
    value, low, high = (signed(row[f"{name}{end}_points"]) for end in ("", "_low", "_high"))
    return f"{value} ({low} to {high})"


def rows() -> dict[str, list[str]]:
    """The rows of the page's table of effects, by their names."""
    lines = PAGE.split("| | mean effect [points]")[1].split("\n\n")[0].splitlines()[2:]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {name: rest for name, *rest in cells}


def named(effect: str) -> str:
    """The page's name of an effect."""
    return " \N{MULTIPLICATION SIGN} ".join(NAMES[one] for one in effect.split(" \N{MULTIPLICATION SIGN} "))


def test_effects_are_those_of_the_file() -> None:
    """All main effects, and every interaction whose interval excludes zero, with both intervals."""
    found, table = pd.read_csv(RESULTS / "ablation" / "effects.csv"), rows()
    shown = found[(found["factors"] == 1) | (found["mean_low_points"] * found["mean_high_points"] > 0)]
    expected = {named(row["effect"]): [estimate(row, "mean"), estimate(row, "interquartile")] for _, row in shown.iterrows()}
    assert {name.removesuffix(" 0.2"): cells[:2] for name, cells in table.items()} == expected
    rest = found.drop(shown.index)
    lowest, highest = (rest[[f"{kind}_{end}_points" for kind in ("mean", "interquartile")]] for end in ("low", "high"))
    assert "within \N{MINUS SIGN}1.2 and +0.8" in PAGE
    assert lowest.to_numpy().min() > -1.2
    assert highest.to_numpy().max() < 0.8


@pytest.mark.parametrize("factor", NAMES)
def test_what_a_part_buys_beside_the_others(factor: str) -> None:
    """The range in the table is that of its eight settings; the box has the interquartile effect."""
    apart = pd.read_csv(RESULTS / "ablation" / "effects_apart.csv")
    buys = apart.loc[apart["factor"] == factor, "difference_points"]
    assert len(buys) == 8
    name = "dropout 0.2" if factor == "dropout" else NAMES[factor]
    assert rows()[name][2] == f"{signed(buys.min())} to {signed(buys.max())}"
    effects = pd.read_csv(RESULTS / "ablation" / "effects.csv").set_index("effect")
    box = "\n".join(line for line in PAGE.splitlines() if line.startswith(">")).replace("**", "")
    assert estimate(effects.loc[factor], "interquartile") in box.replace(" points", "")
