"""What can be asked of a pair, without torch: which answers there are, and what they are called."""

import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Target:
    """What is asked of a pair. answer: from the first and second classes, tensors of whole numbers, to the answers 0, 1 (and 2).

    signs: what each answer says of them. asked: the signs as a person is told of them; of two, first the one that is asked about.
    """

    answer: Callable[[Any, Any], Any]
    signs: tuple[str, ...]
    asked: tuple[str, ...]

    @property
    def outputs(self) -> int:
        """How many answers there are."""
        return len(self.signs)

    @property
    def relation(self) -> str:
        """The sign of an answer of 1."""
        return self.signs[1]

    def number(self, sign: str) -> int:
        """A sign in a table: of two, 1 for what is asked about and 0 for its opposite; of three, the answer itself."""
        return self.signs.index(sign) if self.outputs > 2 else 1 - self.asked.index(sign)


def in_order(first: Any, second: Any) -> Any:
    """0 where the first is less, 1 where they are the same, 2 where it is more."""
    return 1 + (first > second) * 1 - (first < second) * 1


TARGETS: dict[str, Target] = {
    "le": Target(operator.le, (">", "≤"), ("≤", ">")),
    "gt": Target(operator.gt, ("≤", ">"), ("≤", ">")),
    "same": Target(operator.eq, ("≠", "="), ("=", "≠")),
    "three": Target(in_order, ("<", "=", ">"), ("<", "=", ">")),
}
