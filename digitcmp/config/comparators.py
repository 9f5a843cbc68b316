"""What a comparator can read, without torch: of what, how many numbers that makes, and whether a gradient comes back."""

from collections.abc import Callable
from dataclasses import dataclass

CLASSES = 10


@dataclass(frozen=True)
class Reading:
    """What a comparator reads. of: "both" (the last features, of both digits), "each" (the features of each digit) or "digits" (the logits
    of each digit). numbers: how many numbers are read, from how many features there are. apart: the digits must have logits of their own.
    """

    of: str
    numbers: Callable[[int], int]
    apart: bool = False
    gradient: bool = True


def fixed(count: int) -> Callable[[int], int]:
    """So many numbers, however many features there are."""
    return lambda _: count


READINGS: dict[str, Reading] = {
    "features": Reading("both", lambda features: features),
    "digit_logits": Reading("digits", fixed(2 * CLASSES)),
    "digit_probabilities": Reading("digits", fixed(2 * CLASSES)),
    "posterior": Reading("digits", fixed(2 * CLASSES), apart=True),
    "feature_difference": Reading("each", lambda features: features),
    "distance": Reading("each", fixed(1)),
    "logit_difference": Reading("digits", fixed(CLASSES), apart=True),
    "digit_argmax": Reading("digits", fixed(2), apart=True, gradient=False),
}
