"""docs/results/answer.md says what the published effects say."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from digitcmp.report.ranks import hodges_lehmann

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


def accuracies() -> dict[tuple[str, int], "pd.Series[float]"]:
    """The test accuracies of the sweep over training pairs, by network and number of pairs; a failed round is worse than all others."""
    found = {}
    for folder in (RESULTS / "data_size" / "runs").iterdir():
        configuration = json.loads((folder / "run.json").read_text(encoding="utf-8"))["configuration"]
        rounds = pd.read_csv(folder / "rounds.csv").set_index("seed")["test_accuracy"]
        found[configuration["model"]["name"], configuration["data"]["train_pairs"]] = rounds.fillna(-np.inf)
    return found


def test_what_the_parts_buy_by_the_number_of_pairs() -> None:
    """The table's differences are those of the rounds, with intervals that hold together, and so are its medians."""
    rounds, parts = accuracies(), (("net2", "net1"), ("net3", "net2"), ("net4", "net3"), ("decoder", "net4"))
    counts = sorted({count for _, count in rounds})
    cells = [(count, with_it, without) for count in counts for with_it, without in parts if (with_it, count) in rounds]
    expected = {f"{count:,}": ["", "", "", "", ""] for count in counts}
    for count, with_it, without in cells:
        found = hodges_lehmann((rounds[with_it, count] - rounds[without, count]).fillna(0.0).to_numpy(), 1 - 0.05 / len(cells))
        value, low, high = (signed(100 * one) for one in (found.value, found.low, found.high))
        expected[f"{count:,}"][parts.index((with_it, without))] = f"{value} ({low} to {high})"
    for count in counts:
        medians = [rounds[name, count].median() for name in ("net1", "net2", "net3", "net4", "wsn", "decoder") if (name, count) in rounds]
        expected[f"{count:,}"][4] = ", ".join(f"{100 * median:.1f}" for median in medians)
    lines = PAGE.split("| training pairs |")[1].split("\n\n")[0].splitlines()[2:]
    table = [[cell.strip() for cell in line[1:-1].split("|")] for line in lines]
    assert {name: cells for name, *cells in table} == expected
    assert f"the {len(cells)} intervals" in PAGE
    assert {len(one) for one in rounds.values()} == {20}
    assert f"All {sum(map(len, rounds.values()))} rounds" in PAGE


def test_equal_digits_by_the_number_of_pairs() -> None:
    """What is said of pairs of equal digits, and of those that are two apart, is in the rounds."""

    def right(recipe: str, pairs: int, distance: int) -> str:
        counts = pd.read_csv(RESULTS / "data_size" / "runs" / f"experiment={recipe},data.train_pairs={pairs}" / "distances.csv")
        asked = counts[counts["distance"] == distance]
        return f"{100 * asked['right'].sum() / asked['pairs'].sum():.0f}"

    wsn, net1, net4, decoder = (right(recipe, 10_000, 0) for recipe in ("wsn_batchnorm", "net1", "net4", "decoder"))
    assert f"it answers {wsn} % of the equal ones rightly, where\n  Model 1 has {net1} % and Model 4 {net4} %" in PAGE
    assert f"({right('wsn_batchnorm', 10_000, 2)} against {right('net1', 10_000, 2)} %)" in PAGE
    assert f"The decoder has {decoder} % of the equal ones, and {right('decoder', 100, 0)} % with 100 pairs" in PAGE


PARTS = ("weight_sharing", "aux_weight", "batchnorm", "dropout")  # of a cell, in the order of the page


def values_of(folder: Path) -> dict[str, float]:
    """The values that a cell was trained with."""
    configuration = json.loads((folder / "run.json").read_text(encoding="utf-8"))["configuration"]
    return {**configuration["model"], "aux_weight": configuration["aux_weight"], "lr": configuration["optimizer"]["lr"]}


def cell_folders(page: str) -> list[tuple[tuple[bool, ...], Path]]:
    """The runs of a page's cells, with which of PARTS each has."""
    folders = list((RESULTS / page / "runs").iterdir())
    return [(tuple(values_of(folder)[part] > 0 for part in PARTS), folder) for folder in folders]


def cells(page: str) -> "dict[tuple[bool, ...], tuple[dict[str, float], pd.Series[float]]]":
    """By which of PARTS a cell has: the values that it was trained with, and its test accuracies by seed."""
    rounds = {folder: pd.read_csv(folder / "rounds.csv").set_index("seed")["test_accuracy"] for _, folder in cell_folders(page)}
    return {cell: (values_of(folder), rounds[folder]) for cell, folder in cell_folders(page)}


def ranks(medians: dict[tuple[bool, ...], float]) -> dict[tuple[bool, ...], int]:
    """The place of each, the best one the first; equal ones share the better place."""
    return {cell: 1 + sum(other > own for other in medians.values()) for cell, own in medians.items()}


def tuned_rows() -> list[list[str]]:
    """The rows of the page's table of tuned cells, best first: their parts, what was found, medians and places before and after, gain."""
    before, after = cells("ablation"), cells("search_ablation")
    medians = [{cell: 100 * round(float(rounds.median()), 6) for cell, (_, rounds) in page.items()} for page in (before, after)]
    places = [ranks(one) for one in medians]
    rows = []
    for cell in sorted(after, key=lambda cell: (-medians[1][cell], cell)):
        (values, rounds), (_, other) = after[cell], before[cell]
        found = hodges_lehmann((rounds - other).dropna().to_numpy(), 1 - 0.05 / len(after))
        gain, low, high = (signed(100 * one) for one in (found.value, found.low, found.high))
        names = [NAMES[part] for part, there in zip(PARTS, cell, strict=True) if there]
        shares = [f"{values[part]:.2g}" if there else "" for part, there in zip(PARTS[1::2], cell[1::2], strict=True)]
        change = [f"{medians[page][cell]:.2f} ({places[page][cell]})" for page in (0, 1)]
        rows.append([", ".join(names) or "none", f"{values['lr']:.2g}", *shares, *change, f"{gain} ({low} to {high})"])
    return rows


def test_what_tuning_changes() -> None:
    """The table of the sixteen cells, and the effects beside those without tuning."""
    lines = PAGE.split("| parts |")[1].split("\n\n")[0].splitlines()[2:]
    assert [[cell.strip() for cell in line[1:-1].split("|")] for line in lines] == tuned_rows()
    table = PAGE.split("| effect on interquartile means [points]")[1].split("\n\n")[0].splitlines()[2:]
    said = {name.removesuffix(" 0.2"): rest for name, *rest in ([cell.strip() for cell in line[1:-1].split("|")] for line in table)}
    both = [pd.read_csv(RESULTS / page / "effects.csv").set_index("effect") for page in ("ablation", "search_ablation")]
    assert said == {name: [estimate(effects.loc[factor], "interquartile") for effects in both] for factor, name in NAMES.items()}


def test_what_tuning_makes_of_interactions() -> None:
    """Those that do not exclude zero any more."""
    effects = pd.read_csv(RESULTS / "search_ablation" / "effects.csv").set_index("effect")
    for other, name in (("weight_sharing", "sharing"), ("dropout", "dropout")):
        value, rest = estimate(effects.loc[f"aux_weight \N{MULTIPLICATION SIGN} {other}"], "interquartile").split(" (")
        assert f"with {name} ({value}, {rest}" in PAGE


def test_statements_of_the_documents() -> None:
    """Differences between Models 1 to 4, means and deviations on the way, and seconds of a round, by the rounds of their cells."""
    models = ((False,) * 4, (True, False, False, False), (True, True, False, False), (True, True, True, False))
    runs = dict(cell_folders("ablation"))
    rounds = [pd.read_csv(runs[model] / "rounds.csv").set_index("seed") for model in models]
    epochs = [pd.read_csv(runs[model] / "epochs.csv.gz").groupby("epoch")["test_accuracy"] for model in models]

    def gain(name: str, after: int, before: int) -> tuple[float, float, float]:
        found = hodges_lehmann((rounds[after][name] - rounds[before][name]).to_numpy())
        return found.value, found.low, found.high

    sharing, auxiliary = ([signed(100 * one) for one in gain("test_accuracy", after, after - 1)] for after in (1, 2))
    assert f"{sharing[0]} ({sharing[1]} to {sharing[2]}) between Models 1 and 2 here" in PAGE
    assert f"{auxiliary[0]} ({auxiliary[1]} to {auxiliary[2]}) between Models 2 and 3" in PAGE
    means = [f"{100 * one.mean()[30]:.1f}" for one in epochs]
    assert f"({means[3]} %; Models 1, 2 and 3: {means[0]}, {means[1]} and {means[2]})" in PAGE
    assert f"Model 3 {100 * epochs[2].std()[30]:.1f}, Model 4 {100 * epochs[3].std()[30]:.1f} points" in PAGE
    slower, normed = ([f"{one:+.1f}".replace("-", "\N{MINUS SIGN}") for one in gain("seconds", after, after - 1)] for after in (1, 3))
    assert f"{slower[0]} s ({slower[1]} to +0.0) a round, whose median is {rounds[0]['seconds'].median():.1f} s" in PAGE
    assert f"{normed[0]} s ({normed[1]} to {normed[2]}) on {rounds[2]['seconds'].median():.1f} s" in PAGE
