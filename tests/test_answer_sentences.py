"""What docs/results/answer.md says in sentences, beside its tables, is in the published rounds."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from omegaconf import OmegaConf
from scipy import stats

from digitcmp.report.ranks import hodges_lehmann
from tests.test_answer import PAGE, PARTS, RESULTS, accuracies, cell_folders, estimate

TEXT = " ".join(PAGE.replace("\n>", " ").replace("**", "").split())  # without breaks of lines
MODELS = ((False,) * 4, (True, False, False, False), (True, True, False, False), (True, True, True, False))
RUNGS = ("01_net1", "02_weight_sharing", "03_auxiliary_loss", "04_batch_norm")


def said(*sentences: str) -> None:
    """All of these are on the page."""
    assert [one for one in sentences if one not in TEXT] == []


def span(value: float, low: float, high: float, sign: str = "+") -> str:
    """Of points, as the page has them in sentences."""
    return f"{value:{sign}.2f} ({low:{sign}.2f} to {high:{sign}.2f})"


def seeds_of(folder: Path) -> pd.DataFrame:
    """The rounds of a run, by seed."""
    return pd.read_csv(folder / "rounds.csv").set_index("seed")


def by_distance(folder: Path) -> pd.DataFrame:
    """Right answers and pairs by distance."""
    return pd.read_csv(folder / "distances.csv").groupby("distance")[["right", "pairs"]].sum()


def apart(page: str, factor: str) -> "dict[tuple[bool, ...], pd.Series[float]]":
    """What a part buys beside each setting of the others (in the order of PARTS, itself left out)."""
    rows = pd.read_csv(RESULTS / page / "effects_apart.csv")
    found = {}
    for _, row in rows[rows["factor"] == factor].iterrows():
        words = row["baseline"].split()
        on = [part in words or any(re.fullmatch(rf"{part}=(?!0$).+", word) for word in words) for part in PARTS if part != factor]
        found[tuple(on)] = row[["difference_points", "difference_low_points", "difference_high_points"]].astype("float64")
    assert len(found) == 8
    return found


def shows(row: "pd.Series[float]") -> bool:
    """Whether an interval excludes zero."""
    return bool(row.iloc[1] * row.iloc[2] > 0)


def test_where_the_auxiliary_loss_helps() -> None:
    """Two thirds of its effect, weighted by how many pairs there are, is at equal digits and neighbours; sharing shows at one distance."""
    effects = pd.read_csv(RESULTS / "ablation" / "effects_distances.csv").set_index(["effect", "distance"])
    pairs = sum((by_distance(folder)["pairs"] for _, folder in cell_folders("ablation")), start=pd.Series(0, index=range(10)))
    for kind in ("mean_points", "interquartile_points"):
        share = effects.loc["aux_weight", kind] * pairs
        assert 0.62 < share[[0, 1]].sum() / share.sum() < 0.66
    equal, near = (effects.loc[("aux_weight", distance), "interquartile_points"] for distance in (0, 1))
    said(f"nearly two thirds of it where the digits are equal ({equal:+.1f}) or neighbours ({near:+.1f})")
    sharing = effects.loc["weight_sharing"].filter(like="interquartile")
    assert [distance for distance, row in sharing.iterrows() if shows(row)] == [1]
    said(f"Sharing shows at a distance of 1 alone ({span(*sharing.loc[1]).replace('(+', '(').replace('to +', 'to ').replace(' (', ', ')}")


def test_where_the_errors_are() -> None:
    """Their shares by distance, and what the plain network answers rightly."""
    folders = dict(cell_folders("ablation"))
    plain, model4 = (by_distance(folders[MODELS[at]]) for at in (0, 3))
    shares = [(100 * (one["pairs"] - one["right"]) / (one["pairs"] - one["right"]).sum()).round().astype(int) for one in (plain, model4)]
    first, second = (f"{one[0]}, {one[1]} and {one[2]} %" for one in shares)
    said(f"a distance of 2 make {first} of its errors, and {second} of Model 4's")
    right = 100 * plain["right"] / plain["pairs"]
    said(f"({right[0]:.0f} and {right[1]:.0f} % over its 50 rounds)")
    assert right[6:].round().min() == 97


def test_what_batch_norm_buys_where() -> None:
    """In the plain network and nowhere else; after tuning, without dropout, likewise."""
    before, after = apart("ablation", "batchnorm"), apart("search_ablation", "batchnorm")
    plain = (False, False, False)
    assert [cell for cell, row in before.items() if shows(row)] == [plain]
    value, low, high = before[plain]
    said(f"{value:.2f} points ({low:.2f} to {high:.2f}, likewise) in the plain network, none that shows beside the seven other settings")
    assert [cell for cell, row in after.items() if shows(row) and not cell[2]] == [plain]
    value, low, high = after[plain]
    said(f"it shows in the plain network only ({value:+.2f}, {low:.2f} to {high:.2f})")
    loser = (False, True, True)  # auxiliary loss and dropout
    value, low, high = after[loser]
    assert value == max(row.iloc[0] for row in after.values())
    said(f"the one that lost ({value:+.2f}, {low:.2f} to {high:.2f}, against the latter)")
    sharing = apart("search_ablation", "weight_sharing")[(True, False, True)]
    said(f"beside it sharing has {sharing.iloc[0]:+.2f} ({sharing.iloc[1]:.2f} to {sharing.iloc[2]:.2f})")
    effects = pd.read_csv(RESULTS / "search_ablation" / "effects.csv").set_index("effect")
    crossed = estimate(effects.loc["batchnorm \N{MULTIPLICATION SIGN} dropout"], "interquartile").replace(" (", ", ")
    said(f"(their interaction: {crossed}")


def test_what_the_searches_found() -> None:
    """Which cells gain and lose, how many share a winner, how many trials were pruned, and what the loss adds to effects over eight."""
    rows = [line.split("|") for line in PAGE.split("| parts |")[1].split("\n\n")[0].splitlines()[2:]]
    gains = [tuple(float(one.replace("\N{MINUS SIGN}", "-")) for one in re.findall(r"[+\N{MINUS SIGN}][\d.]+", row[7])) for row in rows]
    clear = sorted(value for value, low, high in gains if low * high > 0)
    assert (len(gains), len(clear), sum(value > 0 for value in clear)) == (16, 3, 2)
    said(
        "better than the published training for two cells only; thirteen neither gain nor lose", f"alone adds about {-clear[0] / 8:.2f} to"
    )
    best = {path.stem: path.read_text(encoding="utf-8") for path in (RESULTS / "search_ablation" / "best").glob("*.yaml")}
    pruned = [int(found[1]) for text in best.values() if (found := re.search(r"of 12 \((\d+) of them pruned\)", text))]
    assert len(pruned) == 16
    said(f"12 trials ({min(pruned)} to {max(pruned)} of them pruned)")
    winners = []
    for text in best.values():
        found = OmegaConf.create(text)
        winners.append((found.optimizer.lr, found.aux_weight, found.get("model", {}).get("dropout", 0.0)))
    assert len(winners) - len(set(winners)) == 3
    said("three pairs of rows have the same winner")


def test_what_the_rule_buys() -> None:
    """Its mean with Student's interval, beside the auxiliary loss's effects with and without tuning."""
    rungs = [seeds_of(RESULTS / "ladder" / "runs" / f"ladder={name}")["test_accuracy"] for name in ("09_weight_decay", "11_posterior")]
    gains = 100 * (rungs[1] - rungs[0])
    low, high = stats.t.interval(0.95, len(gains) - 1, gains.mean(), stats.sem(gains))
    said(f"on top of it: {gains.mean():+.1f} ({low:+.1f} to {high:+.1f}; a mean, its interval by itself)")
    tuned = pd.read_csv(RESULTS / "search_ablation" / "effects.csv").set_index("effect").loc["aux_weight"]
    assert low < tuned["interquartile_points"] < high


def test_few_pairs() -> None:
    """Rounds that stay untrained, Model 4 beside Model 2, and sharing averaged over 2,000 to 10,000 pairs."""
    table = pd.read_csv(RESULTS / "data_size" / "table.csv").set_index("configuration")["untrained_rounds"]
    lost = {(net, count): table[f"{net} train_pairs={count}"] for net in ("net1", "net2", "net3", "net4") for count in (100, 200)}
    first, second, third = (f"{lost[net, 100]} and {lost[net, 200]}" for net in ("net1", "net2", "net3"))
    said(
        f"{third} of 20 rounds stay untrained, of Model 1 {first}.",
        f"{third} of Model 3's 20 rounds stay untrained (of Model 1 {first}, of Model 2 {second})",
    )
    assert lost["net4", 100] == lost["net4", 200] == 0
    rounds = accuracies()

    def found(values: "pd.Series[float]") -> str:
        one = hodges_lehmann(values.to_numpy())
        return span(*(100 * end for end in (one.value, one.low, one.high)))

    both = (found(rounds["net4", count] - rounds["net2", count]) for count in (100, 200))
    said(" and ".join(both) + " over Model 2 (by themselves)")
    gains = {count: rounds["net2", count] - rounds["net1", count] for count in (2000, 5000, 10000)}
    average = found(sum(gains.values(), start=pd.Series(0.0, index=gains[2000].index)) / 3)
    said(f"averaged over these three, {average[:-1]}, by itself)")
    each = [round(100 * hodges_lehmann(one.to_numpy()).value, 1) for one in gains.values()]
    said(f"stay at {min(each):+.1f} to {max(each):+.1f}", f"sharing perhaps {each[-1]}")


def test_what_shows_by_the_number_of_pairs() -> None:
    """The sentences below the table, by its simultaneous intervals; two rounds failed, which means leave out."""
    rounds = accuracies()

    def gains(after: str, before: str) -> "dict[int, pd.Series[float]]":
        counts = sorted(count for net, count in rounds if net == after)
        each = {count: (rounds[after, count] - rounds[before, count]).fillna(0.0).to_numpy() for count in counts}
        return {count: 100 * pd.Series(hodges_lehmann(one, 1 - 0.05 / 28)) for count, one in each.items()}

    sharing, auxiliary, normed = gains("net2", "net1"), gains("net3", "net2"), gains("net4", "net3")
    assert [[count for count, row in part.items() if shows(row)] for part in (sharing, auxiliary, normed)] == [
        [500, 1000],
        [200, 1000, 2000, 5000, 10000],
        [100, 200, 500],
    ]
    shared, read, calm = ({count: row.iloc[0] for count, row in part.items()} for part in (sharing, auxiliary, normed))
    said(
        f"shows with 500 ({shared[500]:+.2f}) and 1,000 pairs ({shared[1000]:+.2f})",
        f"{calm[100]:.0f} and {calm[200]:.0f} points over Model 3 at 100 and 200 pairs",
        f"repairs that, by {calm[100]:.0f} and {calm[200]:.0f} points. With 10,000 pairs, the auxiliary loss buys {read[10000]:.1f},",
        f"{calm[500]:.0f} over Model 3 at 500, none that shows from 1,000 on",
        f"with 200 it costs {-read[200]:.1f} points",
        f"most at 2,000 ({read[2000]:.1f}), and still {read[10000]:.1f} at 10,000",
    )
    assert sum(np.isinf(one).sum() for one in rounds.values()) == 2


def test_constant_answers_are_no_reading() -> None:
    """Of Models 1 and 3 with 100 pairs: rounds in which equal digits nearly always have the same answer."""
    counts = []
    for net in ("net1", "net3"):
        rows = pd.read_csv(RESULTS / "data_size" / "runs" / f"experiment={net},data.train_pairs=100" / "distances.csv")
        equal = rows[rows["distance"] == 0]
        share = equal["right"] / equal["pairs"]
        counts.append((f"{100 * share.mean():.0f}", int((np.abs(share - 0.5) >= 0.49).sum())))
    (one, first), (other, second) = counts
    said(f"({one} and {other} % of Models 1 and 3 with 100 pairs are no reading: {first} and {second} of their 20 rounds give equal digits")


def same_rounds(folders: Sequence[Path]) -> list[tuple[bool, bool]]:
    """Of Models 1 to 4: whether a record's rounds are the very ones of the ablation, and whether its pairs are."""
    own = dict(cell_folders("ablation"))
    columns, found = ["test_accuracy", "train_loss"], []
    for model, folder in zip(MODELS, folders, strict=True):
        one, other = seeds_of(folder), seeds_of(own[model])
        shared = one.index.intersection(other.index)
        assert len(shared) == min(len(one), 50)
        pairs = one.loc[shared, "majority_accuracy"].equals(other.loc[shared, "majority_accuracy"])
        found.append((one.loc[shared, columns].equals(other.loc[shared, columns]), pairs))
    return found


def test_records_are_of_the_same_seeds() -> None:
    """Models 3 and 4 of Table 1 and of the ladder are the rounds of the page; the others have its pairs with other weights."""
    again, other = (True, True), (False, True)
    table1 = next(path.parent.parent for path in (RESULTS / "table1" / "runs").rglob("rounds.csv") if path.parent.name == "experiment=net1")
    assert same_rounds([table1 / f"experiment=net{model}" for model in range(1, 5)]) == [other, other, again, again]
    assert same_rounds([RESULTS / "ladder" / "runs" / f"ladder={name}" for name in RUNGS]) == [other, other, again, again]
    folders = [RESULTS / "data_size" / "runs" / f"experiment=net{model},data.train_pairs=1000" for model in range(1, 5)]
    assert same_rounds(folders) == [other] * 4
    said("Models 3 and 4 of Table 1 and of the ladder are, seed by seed, the very rounds of this page")
    own = 100 * seeds_of(dict(cell_folders("ablation"))[MODELS[2]])["test_accuracy"]
    third, few = (100 * seeds_of(folder)["test_accuracy"] for folder in (table1 / "experiment=net3", folders[2]))
    low = {name: list(one[one < 82].index) for name, one in (("page", own), ("table", third), ("few", few))}
    assert (low["page"], min(low["table"]) >= 50) == ([], True)
    there = " and ".join(f"{own[seed]:.1f}" for seed in low["few"])
    said(
        f"none of seeds 0 to 49, {len(low['table'])} of seeds 50 to 99 in",
        f"{len(low['few'])} of {len(few)} with [1,000 of the pairs above](#with-how-much-data), on seeds that came to {there} % here",
    )


def test_statements_with_conditions() -> None:
    """Model 4 at 30 epochs, wsn without batch norm and in the sweep, and what the simulation of intervals asks for."""
    folder = dict(cell_folders("ablation"))[(False, True, True, False)]
    mean = pd.read_csv(folder / "epochs.csv.gz").groupby("epoch")["test_accuracy"].mean()[30]
    said(f"but Model 4 without sharing does ({100 * mean:.1f} %)")
    table = pd.read_csv(RESULTS / "jointnet" / "table.csv").set_index("configuration")
    off, on = (table.loc[f"wsn dropout=0 aux_weight={weight}"] for weight in ("0", "0.5"))
    means = [f"{row['mean_with_failed_percent']:.1f}" for row in (off, on)]
    said(
        f"{on['lost_rounds']:.0f} of 30 rounds fail or stay untrained ({off['lost_rounds']:.0f} without the auxiliary loss), "
        f"and the mean that counts them gains nothing: {means[0]} and {means[1]} %"
    )
    asked = (RESULTS.parent.parent / "tests" / "report" / "test_factorial.py").read_text(encoding="utf-8")
    assert re.search(r"range\(400\).*missed <= 0\.07 \* 400", asked, re.DOTALL)
    said("A test draws 400 sweeps of three parts", "right in at least 93 of a hundred")
    texts = [path.read_text(encoding="utf-8") for path in (RESULTS / "data_size" / "runs").glob("experiment=wsn_batchnorm,*/run.json")]
    assert len(texts) == 7
    assert all('"aux_weight": 0.5' in text and '"batchnorm": true' in text for text in texts)
    said("project 001's wsn with auxiliary loss and batch norm")
