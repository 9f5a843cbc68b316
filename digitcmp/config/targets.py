"""What can be asked of a pair, without torch: which answers there are, and what they are called."""

import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Target:
    """What is asked of a pair. answer: from the first and second classes, tensors of whole numbers, to the answers (`outputs` of them).

    relation: what an answer of 1 says of them, as a sign. asked: the signs of what a person asks a network about, and of its opposite;
    means: the answers that mean the former.
    """

    answer: Callable[[Any, Any], Any]
    relation: str
    outputs: int = 2
    asked: tuple[str, str] = ("≤", ">")
    means: tuple[int, ...] = (1,)


def in_order(first: Any, second: Any) -> Any:
    """0 where the first is less, 1 where they are the same, 2 where it is more."""
    return 1 + (first > second) * 1 - (first < second) * 1


TARGETS: dict[str, Target] = {
    "le": Target(operator.le, "≤"),
    "gt": Target(operator.gt, ">", means=(0,)),
    "same": Target(operator.eq, "=", asked=("=", "≠")),
    "three": Target(in_order, "=", outputs=3, means=(0, 1)),
}
