"""Answers as a table on the screen, and as CSV."""

from collections.abc import Sequence
from dataclasses import astuple, dataclass

from rich.console import Console
from rich.table import Table

from digitcmp.config.targets import Target
from digitcmp.counting import counted
from digitcmp.experiment.views import to_csv
from digitcmp.inert import visible
from digitcmp.predict.answers import Answer

MOST = 20  # pairs that are shown on the screen


@dataclass(frozen=True)
class AnswerRow:
    """A row of the CSV. first, second: the pictures, or the number of the pair in its file. answer: 1 where the network holds to be true
    what is asked (first <= second, or that both are of one class), and probability: of that. Of three answers: 0 for first < second, 1 for
    the same, 2 for more, and the probability of the one that is given. *_read: the digit that it finds most probable, and its
    *_probability; empty without digit head. *_digit: the true ones, where the file tells them."""

    first: str
    second: str
    answer: int
    probability: float
    first_read: int | None = None
    second_read: int | None = None
    first_probability: float | None = None
    second_probability: float | None = None
    first_digit: int | None = None
    second_digit: int | None = None

    def right(self, target: Target) -> bool | None:
        """Whether the answer is true; None where nobody knows."""
        if self.first_digit is None or self.second_digit is None:
            return None
        return self.answer == target.number(target.signs[int(target.answer(self.first_digit, self.second_digit))])


def row_of(first: str, second: str, answer: Answer, target: Target, digits: tuple[int, int] | None = None) -> AnswerRow:
    """The row of a pair. digits: the true ones."""
    known = digits or (None, None)
    told = target.number(answer.sign), answer.probabilities[asked_of(answer.sign, target)]
    if answer.posteriors is None or answer.read is None:
        return AnswerRow(first, second, *told, first_digit=known[0], second_digit=known[1])
    sure = max(answer.posteriors[0]), max(answer.posteriors[1])
    return AnswerRow(first, second, *told, *answer.read, *sure, *known)


def asked_of(sign: str, target: Target) -> str:
    """The sign whose probability is told with an answer: of two, that of what is asked about; of three, its own."""
    return sign if target.outputs > 2 else target.asked[0]


def csv_of(rows: Sequence[AnswerRow]) -> str:
    """The rows as CSV."""
    return to_csv(AnswerRow, map(astuple, rows))


def show(rows: Sequence[AnswerRow], target: Target, console: Console) -> None:
    """Print the answers to what networks with this target are asked, the first ones of many, and how many are right where that is known."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("first", overflow="fold")
    table.add_column("second", overflow="fold")
    table.add_column("answer", no_wrap=True)
    table.add_column("P" if target.outputs > 2 else f"P(first {target.asked[0]} second)", justify="right", no_wrap=True)
    table.add_column("read", no_wrap=True)
    signs = {target.number(sign): sign for sign in target.signs}
    for row in rows[:MOST]:
        read = "" if row.first_read is None else f"{row.first_read} and {row.second_read}"
        table.add_row(visible(row.first), visible(row.second), f"first {signs[row.answer]} second", f"{row.probability:.3f}", read)
    console.print(table)
    if len(rows) > MOST:
        console.print(f"and {len(rows) - MOST:,} more (--csv has all)", style="dim")
    if known := [right for row in rows if (right := row.right(target)) is not None]:
        console.print(f"{sum(known):,} of {counted(len(known), 'pair')} answered rightly: {100 * sum(known) / len(known):.2f} %")
