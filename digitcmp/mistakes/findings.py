"""What was found in the test pairs of some rounds, and counts of it."""

from collections import Counter
from dataclasses import dataclass, field
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from digitcmp.counting import are, counted

Numbers = NDArray[np.float64]
KINDS = ("digits right", "one digit misread", "both misread")  # by how many digits are misread
CLASSES = 10
UNREAD = "-"  # the kind where a network does not say which digits it sees


@dataclass(frozen=True)
class MistakeRow:
    """A row of mistakes.csv: a test pair that is answered wrongly.

    pair: its number among the test pairs of this seed. first, second: the true digits. target and answer: 1 where the
    statement (first <= second, first > second, or both of one class) is true, and is held to be true. probability: of the statement, as the
    network holds it. *_read: the digit that it finds most probable; *_posterior: its probability of the true digit; empty
    without digit head.
    """

    seed: int
    pair: int
    first: int
    second: int
    target: int
    answer: int
    probability: float
    first_read: int | None = None
    second_read: int | None = None
    first_posterior: float | None = None
    second_posterior: float | None = None
    kind: str = UNREAD

    @property
    def sure(self) -> float:
        """The probability that the network gives to its answer."""
        return self.probability if self.answer else 1 - self.probability


@dataclass(frozen=True)
class Mistake:
    """A pair that is answered wrongly, to be looked at: grey images [2, s, s] in [0, 1]; posteriors [2, 10], None without digit head."""

    row: MistakeRow
    images: Numbers
    posteriors: Numbers | None


@dataclass(frozen=True)
class RoundFindings:
    """One round: the (first, second) digits of the pairs that were asked, counted, which are wrong, the accuracy that is on record, and
    (true digit, read digit) of every digit of every pair, counted; None without digit head."""

    seed: int
    asked: Counter[tuple[int, int]]
    mistakes: list[Mistake]
    recorded: float
    read: Counter[tuple[int, int]] | None

    @property
    def pairs(self) -> int:
        """How many were asked."""
        return self.asked.total()

    @property
    def accuracy(self) -> float:
        """The fraction of right answers, as it comes out now."""
        return 1 - len(self.mistakes) / self.pairs


@dataclass(frozen=True)
class Confusion:
    """A digit that is taken for another one: so many times in the pairs that are answered wrongly, and in all pairs."""

    true: int
    read: int
    in_mistakes: int
    in_all: int


@dataclass(frozen=True)
class Findings:
    """Some rounds of one run. relation: the sign of its statement, ≤, > or =. damaged: a line per record that could not be read."""

    relation: str
    rounds: list[RoundFindings]
    damaged: list[str] = field(default_factory=list)

    @property
    def mistakes(self) -> list[Mistake]:
        """All that are answered wrongly, by seed and number of the pair."""
        return list(chain.from_iterable(one.mistakes for one in self.rounds))

    @property
    def pairs(self) -> int:
        """How many pairs were asked."""
        return sum(one.pairs for one in self.rounds)

    @property
    def accuracy(self) -> float:
        """The mean over the rounds, as it comes out now."""
        return float(np.mean([one.accuracy for one in self.rounds]))

    @property
    def read(self) -> Counter[tuple[int, int]]:
        """(true digit, read digit) of all digits of all rounds, counted; nothing without digit head."""
        return sum((one.read for one in self.rounds if one.read is not None), Counter[tuple[int, int]]())

    @property
    def digit_accuracy(self) -> float | None:
        """The fraction of digits that are read rightly; None without digit head."""
        counts = self.read
        return sum(count for (true, read), count in counts.items() if true == read) / counts.total() if counts else None

    def digit_shares(self) -> Numbers | None:
        """Of the digits of each class, the fraction that is read as each: [true, read]; nan for a class without digits. None without digit
        head."""
        counts = self.read
        return fractions(matrix(counts), matrix(counts).sum(axis=1, keepdims=True)) if counts else None

    def wrong_shares(self) -> Numbers:
        """Of the pairs of each two classes, the fraction that is answered wrongly: [first, second]; nan where there are none."""
        wrong = Counter((mistake.row.first, mistake.row.second) for mistake in self.mistakes)
        return fractions(matrix(wrong), matrix(sum((one.asked for one in self.rounds), Counter[tuple[int, int]]())))

    def kinds(self) -> dict[str, int]:
        """How many mistakes there are of each kind, misread digits first; nothing without digit head."""
        counts = Counter(mistake.row.kind for mistake in self.mistakes)
        return {kind: counts[kind] for kind in (KINDS[1], KINDS[2], KINDS[0])} if counts[UNREAD] == 0 else {}

    def surest(self, most: int) -> list[Mistake]:
        """So many mistakes at most, those first of which the network was surest."""
        return sorted(self.mistakes, key=lambda mistake: -mistake.row.sure)[:most]

    def confusions(self) -> list[Confusion]:
        """Which digits are taken for which, most frequent (in the pairs that are answered wrongly) first."""
        rows = [mistake.row for mistake in self.mistakes]
        wrong = Counter(pair for row in rows for pair in ((row.first, row.first_read), (row.second, row.second_read)))
        found = [Confusion(*pair, wrong[pair], count) for pair, count in self.read.items() if pair[0] != pair[1]]
        return sorted(found, key=lambda each: (-each.in_mistakes, -each.in_all, each.true, each.read))

    def wrong_line(self) -> str:
        """12 of 1,000 test pairs are answered wrongly, in 1 round."""
        count = len(self.mistakes)
        return f"{count:,} of {self.pairs:,} test pairs {are(count)} answered wrongly, in {counted(len(self.rounds), 'round')}"

    def kinds_line(self) -> str:
        """How many mistakes there are of each kind; empty without mistakes or without digit head."""
        return ", ".join(f"{kind}: {count:,}" for kind, count in self.kinds().items()) if self.mistakes else ""


def matrix(counts: Counter[tuple[int, int]]) -> Numbers:
    """Counts of two classes, [10, 10]."""
    found = np.zeros((CLASSES, CLASSES))
    for (row, column), count in counts.items():
        found[row, column] = count
    return found


def fractions(some: Numbers, whole: Numbers) -> Numbers:
    """some / whole; nan where there is none."""
    found = np.full(some.shape, np.nan)
    np.divide(some, whole, out=found, where=np.broadcast_to(whole > 0, some.shape))
    return found
