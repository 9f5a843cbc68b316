"""What came out against what is on record: round by round, then in one verdict per configuration."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from digitcmp.report.comparisons import holm
from digitcmp.report.metrics import DECIMALS, UNTRAINED
from digitcmp.report.ranks import Values, hodges_lehmann, paired_differences, signed_rank_p
from digitcmp.verify.draw import FIGURES, Drawn, equal
from digitcmp.verify.retrain import Again

ROUND = ["status", *FIGURES, "best_epoch", "best_accuracy", "majority_accuracy"]  # what a round's row says beside its epochs
NOT_TRAINED = "not trained"  # the verdict on what cannot be
ALPHA = 0.05  # of all tests of a kind together


def compare_rounds(drawn: Drawn, again: Again) -> pd.DataFrame:
    """One row a round that was drawn: label, seed, found (what is wrong with it, in words; empty where nothing is), equal (to the last
    digit), difference (of its accuracies, now - then), lost_then, lost_now (whether it failed or is untrained).

    Wrong: it is not equal though the platform is the same; or, elsewhere: it has other test pairs, or its loss in the first epoch is
    another one, or it did not come that far.
    """
    now = again.rounds.set_index(["run_index", "seed"])
    then_epochs, now_epochs = (dict(list(epochs.groupby(["run_index", "seed"]))) for epochs in (drawn.epochs, again.epochs))
    rows = []
    for then in drawn.rounds.to_dict("records"):
        key = then["run_index"], then["seed"]
        other = now.loc[key].to_dict()
        before, after = (epochs.get(key, drawn.epochs[:0]).set_index("epoch")[FIGURES] for epochs in (then_epochs, now_epochs))
        first = found = first_difference(before, after) or other_round(then, other, ROUND)
        if key[0] in again.elsewhere:
            found = other_round(then, other, ["majority_accuracy"]) or other_start(before, after, again.tolerances[key[0]])
        if found and other["status"] != then["status"]:
            found += f"; {then['status']} on record, {other['status']} now" + (
                f" ({other['error']})" if other["status"] == "failed" else ""
            )
        rows.append(
            {
                "label": then["label"],
                "seed": then["seed"],
                "found": found and f"seed {then['seed']}, {found}",
                "equal": not first,
                "difference": gain(accuracy(then), accuracy(other)),
                "lost_then": is_lost(then),
                "lost_now": is_lost(other),
            }
        )
    return pd.DataFrame(rows)


def first_difference(then: pd.DataFrame, now: pd.DataFrame) -> str:
    """The first epoch that differs, in words; empty where none does. then, now: FIGURES by epoch."""
    for epoch in then.index.union(now.index):
        if epoch not in now.index or epoch not in then.index:
            return f"epoch {epoch}: {'on record, not trained now' if epoch in then.index else 'trained now, not on record'}"
        for name in FIGURES:
            if not equal(one := then.loc[epoch, name], other := now.loc[epoch, name]):
                return f"epoch {epoch}: {name} {one:.8g} on record, {other:.8g} now"
    return ""


def other_round(then: dict[Any, Any], now: dict[str, Any], names: list[str]) -> str:
    """The first of these values of a round that differs, in words; empty where none does."""
    for name in names:
        one, other = then[name], now[name]
        if one != other and not (pd.isna(one) and pd.isna(other)):
            return f"{name} {one} on record, {other} now"
    return ""


def other_start(then: pd.DataFrame, now: pd.DataFrame, tolerance: float) -> str:
    """The losses of the first epoch where they are farther apart, in words; empty where they aren't."""
    one, other = (float(epochs["train_loss"].get(1, np.nan)) for epochs in (then, now))
    # where rounding carries as far as that, one may diverge
    return "" if abs(one - other) <= tolerance or tolerance == np.inf else f"epoch 1: train_loss {one:.8g} on record, {other:.8g} now"


def accuracy(row: dict[Any, Any]) -> float:
    """The test accuracy of a round, or the validation accuracy of one that was not tested; -inf of one that failed."""
    value = row["val_accuracy"] if pd.isna(row["test_accuracy"]) else row["test_accuracy"]
    return -np.inf if row["status"] == "failed" else float(value)


def gain(then: float, now: float) -> float:
    """The difference of accuracies; 0 where both rounds failed."""
    return float(paired_differences(np.array([now]), np.array([then]))[0])


def is_lost(row: dict[Any, Any]) -> bool:
    """Whether a round failed, or has learnt nothing; of one that was not tested, that is not known."""
    return bool(row["status"] == "failed" or round(row["test_accuracy"] - row["majority_accuracy"], DECIMALS) <= UNTRAINED)


def verdicts(
    counts: pd.DataFrame, rounds: pd.DataFrame, contradictions: dict[str, str], margin: float, reasons: dict[str, str]
) -> pd.DataFrame:
    """One row a configuration: those of `Drawn.counts`, with the numbers of rounds that are equal and wrong, verdict, found (in words).

    rounds: as `compare_rounds` gives them. margin: a fraction. reasons: as those of `Drawn`. Where rounds are not equal to the last digit
    but nothing is wrong with them, tests decide, each kind at 5 % over all configurations after Holm: whether accuracies differ
    (signed-rank, by seed), or the numbers of rounds that failed or are untrained (`lost_p`); and whether accuracies are equivalent: two
    one-sided signed-rank tests at the margin (Schuirmann 1987).
    """
    rows = [outcome(row["label"], rounds[rounds["label"] == row["label"]], contradictions, margin) for row in counts.to_dict("records")]
    table = pd.concat([counts, pd.DataFrame(rows)], axis=1)
    both = holm(pd.concat([table["p_different"], table["p_lost"]], ignore_index=True))
    table["p_different"], table["p_lost"] = both[: len(table)].to_numpy(), both[len(table) :].to_numpy()
    table["p_equivalent"] = holm(table["p_equivalent"])
    told = [verdict(row, reasons.get(row["label"], "")) for row in table.to_dict("records")]
    return table.assign(verdict=[name for name, _ in told], found=[text for _, text in told])


def outcome(label: str, rounds: pd.DataFrame, contradictions: dict[str, str], margin: float) -> dict[str, Any]:
    """What the rounds of one configuration come to; p values are NaN where no test is needed."""
    found = [text for text in [contradictions.get(label, ""), *rounds["found"]] if text]
    count, (equal, then, now) = len(rounds), (int(rounds[name].sum()) for name in ("equal", "lost_then", "lost_now"))
    row = {"equal": equal, "wrong": int((rounds["found"] != "").sum()), "found": found[0] if found else "", "then": then, "now": now}
    if found or equal == count:
        return row | dict.fromkeys(("value", "low", "high", "p_different", "p_lost", "p_equivalent"), np.nan)
    values = rounds["difference"].to_numpy(dtype="float64")
    return row | {
        **dict(zip(("value", "low", "high"), hodges_lehmann(values, 1 - 2 * ALPHA), strict=True)),
        "p_different": signed_rank_p(values),
        "p_lost": lost_p(rounds["lost_then"].to_numpy(dtype=bool), rounds["lost_now"].to_numpy(dtype=bool)),
        "p_equivalent": equivalence_p(values, margin),
    }


def lost_p(then: npt.NDArray[np.bool_], now: npt.NDArray[np.bool_]) -> float:
    """The p of as many rounds being lost now as then, by seed: twice the smaller of two.

    McNemar's exact test (1947) asks those seeds that are lost on one side only, and finds more where the same seeds are lost again.
    Fisher's exact test compares the numbers, and finds more where seeds have nothing to do with it; where they have, it errs on the safe
    side.
    """
    count, before, after = len(then), int(then.sum()), int(now.sum())
    fewer, more = sorted((int((then & ~now).sum()), int((now & ~then).sum())))
    mcnemar = float(stats.binomtest(fewer, fewer + more).pvalue) if more else 1.0
    fisher = float(stats.fisher_exact(np.array([[before, count - before], [after, count - after]])).pvalue)
    return min(1.0, 2 * min(mcnemar, fisher))


def equivalence_p(differences: Values, margin: float) -> float:
    """The p of two one-sided signed-rank tests: that the differences are centred below -margin, or above margin (Schuirmann 1987)."""
    centre = hodges_lehmann(differences).value
    return max(signed_rank_p(margin + sign * differences) / 2 if sign * centre > -margin else 1.0 for sign in (1, -1))


def most_otherwise(table: pd.DataFrame) -> float:
    """The share of all rounds that are otherwise than on record, at most, with 95 % confidence, when none of those drawn is.

    1 - 0.05^(1/m) for m rounds drawn (Hanley and Lippman-Hand 1983). Where some configurations have a smaller part of their rounds drawn
    than others, m counts as if all had the smallest: the chance of meeting none is a product over configurations, which is largest, at
    a given share of all, where all have that share (the mean of logarithms is at most the logarithm of the mean).
    """
    some = table[table["drawn"] > 0]
    rounds = float((some["drawn"] / some["recorded"]).min() * some["recorded"].sum())
    return float(1 - ALPHA ** (1 / rounds))


def verdict(row: dict[Any, Any], reason: str) -> tuple[str, str]:
    """The verdict on a row of `verdicts`, and what it rests on. reason: why rounds of it were not trained again, if some were not."""
    if reason and not row["found"]:
        name, text = verdict(row, "") if row["drawn"] else (NOT_TRAINED, "")
        return name, f"{text}; others {NOT_TRAINED}: {reason}" if text else reason
    if row["found"]:
        return "different", row["found"]
    if not row["drawn"]:
        return "too few", "no round on record that came through an epoch"
    if row["equal"] == row["drawn"]:
        return "reproduced", "all epochs, to the last digit"
    lost = f"failed or untrained: {row['then']} on record, {row['now']} now"
    if row["p_lost"] <= ALPHA:
        return "different", f"{lost} (p = {row['p_lost']:.2g})"
    told = f"{100 * row['value']:+.2f} points ({100 * row['low']:+.2f} to {100 * row['high']:+.2f})"
    told += f"; {lost}" if row["then"] or row["now"] else ""
    if row["p_equivalent"] <= ALPHA:
        return "consistent", told
    return ("different", f"{told}, p = {row['p_different']:.2g}") if row["p_different"] <= ALPHA else ("too few", told)
