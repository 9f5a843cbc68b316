"""What a report can be about: a column of the rounds, how its values are shown, and which of two is better."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from digitcmp.errors import RunError
from digitcmp.given import shown

if TYPE_CHECKING:
    import pandas as pd

NONE = "–"  # where there is no value
UNTRAINED = 0.03  # a round that is no further above always giving the more frequent answer has learnt nothing
DECIMALS = 7  # records have 8 significant digits: figures are equal when they agree this far; differences, see `ranks.NEAR`


@dataclass(frozen=True)
class Metric:
    """A column of rounds and epochs.

    definition: a clause for the methods (`defined`). unit: of values as shown, which are those of the column times `scale` (accuracies are
    fractions in frames and per cent in tables). on_pairs: whether it counts right answers on the test pairs, so that it tells
    which rounds are untrained, and has a figure by distance.
    """

    column: str
    title: str
    definition: str
    unit: str = "%"
    scale: int = 100
    decimals: int = 2
    higher_is_better: bool = True
    on_pairs: bool = False

    def defined(self, best_weights: bool) -> str:
        """Its definition. best_weights: whether there are rounds that end with the weights of their best epoch."""
        return self.definition + (BEST if best_weights and self.column in ENDING else "")

    @property
    def difference_unit(self) -> str:
        """Of differences as shown: between two per cents there are points."""
        return "points" if self.unit == "%" else self.unit

    def show(self, value: float, sign: str = "") -> str:
        """A value without its unit, or a dash where there is none. sign: + for one that is always shown (but see `fixed`)."""
        if math.isinf(value):  # of rounds most of which failed
            return f"{'-' if value < 0 else sign}∞"
        return NONE if math.isnan(value) else fixed(self.scale * value, f"{sign}.{self.decimals}f")

    def span(self, low: float, high: float, sign: str = "") -> str:
        """low to high, or a dash; once where both are infinite."""
        if math.isnan(low) or math.isnan(high):
            return NONE
        return self.show(low, sign) if low == high and math.isinf(low) else f"{self.show(low, sign)} to {self.show(high, sign)}"

    def estimate(self, row: Mapping[Any, Any], keys: Sequence[str], sign: str = "") -> str:
        """value (low to high) of these three keys of a row; the value alone where it has no interval."""
        value, low, high = (row[key] for key in keys)
        return self.show(value, sign) + ("" if math.isnan(low) or math.isnan(high) else f" ({self.span(low, high, sign)})")

    @property
    def limits(self) -> tuple[float, float]:
        """Between which all its values lie: fractions, losses and times."""
        return (0.0, 1.0) if self.unit == "%" else (0.0, math.inf)

    @property
    def worst(self) -> float:
        """What stands for a round that failed where ranks are what counts: it loses against every other."""
        return -math.inf if self.higher_is_better else math.inf

    def tick(self, value: float, _: float = 0) -> str:
        """A value on an axis: 92.5 %."""
        return f"{self.scale * value:.6g} {self.unit}".rstrip()


LAST = "of the last epoch"
BEST = ", or, with stopping.best or stopping.patience, with the weights of the epoch that was best on the validation pairs"
ENDING = ("test_accuracy", "digit_accuracy", "val_accuracy")  # measured with the weights that a round ends with
TEST_ACCURACY = Metric("test_accuracy", "test accuracy", f"Accuracy is that {LAST} on the test pairs", on_pairs=True)
MANUSCRIPT_COLUMNS = ("parameters", "mean", "median", "gain", "lost", "rounds", "seconds")  # what table_paper.tex can have beside names
MANUSCRIPT_DEFAULT = MANUSCRIPT_COLUMNS[:4]
METRICS = {
    metric.column: metric
    for metric in (
        TEST_ACCURACY,
        Metric("digit_accuracy", "digit accuracy", f"Accuracy is that {LAST} on the digits of the test pairs"),
        Metric("val_accuracy", "validation accuracy", f"Accuracy is that {LAST} on the validation pairs"),
        Metric("train_accuracy", "training accuracy", f"Accuracy is the mean over the batches {LAST} when they were trained on"),
        Metric("train_loss", "training loss", f"Loss is the mean over the batches {LAST}", "", 1, decimals=4, higher_is_better=False),
        Metric("seconds", "training time", "Time is that of a round, in curves of an epoch", "s", 1, higher_is_better=False),
    )
}


def fixed(value: float, form: str) -> str:
    """A number in this form; what rounds to zero from below has no sign, as it is neither less than nothing nor more."""
    text = format(value, form)
    return text if float(text) else text.removeprefix("-")


def with_unit(text: str, unit: str) -> str:
    """A heading: test accuracy [%]."""
    return f"{text} [{unit}]" if unit else text


def find_metric(column: str) -> Metric:
    """The metric of a column. Raises RunError for an unknown one, with the nearest and all that there are."""
    if not isinstance(column, str) or column not in METRICS:
        raise unknown("metric", column, "column", list(METRICS))
    return METRICS[column]


def unknown(option: str, wanted: object, kind: str, known: Sequence[str]) -> RunError:
    """The error for a name, or what is none, that is none of the known ones, with the nearest of them, if any is near."""
    close = get_close_matches(wanted, known, n=1, cutoff=0.4) if isinstance(wanted, str) else []
    nearest = f" (did you mean {close[0]!r}?)" if close else ""
    return RunError(f"{option} {shown(wanted)}: there is no such {kind}{nearest}; choose one of {', '.join(map(repr, known))}")


def is_untrained(done: "pd.DataFrame", metric: Metric = TEST_ACCURACY) -> "pd.Series[bool]":
    """Which rounds have learnt nothing: no more than 3 points above always giving the more frequent answer, or anywhere below."""
    return (done[metric.column] - done["majority_accuracy"]).round(DECIMALS) <= UNTRAINED
