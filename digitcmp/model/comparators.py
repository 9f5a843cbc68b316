"""What a comparator reads, and the comparator without parameters."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from digitcmp.config.comparators import CLASSES
from digitcmp.config.targets import TARGETS

# from the features of each digit [B, 2 F], the last features of both [B, G] and the digits' logits [B, 2, 10] to what is read;
# which of them there are, `digitcmp.config.comparators` says
Reader = Callable[[Tensor, Tensor, Tensor | None], Tensor]


def difference(each: Tensor) -> Tensor:
    """The first digit's features without the second's, [B, F], of [B, 2 F]."""
    first, second = each.chunk(2, dim=1)
    return first - second


def of_digits(read: Callable[[Tensor], Tensor]) -> Reader:
    """What reads the digits' logits alone."""

    def reader(each: Tensor, both: Tensor, digits: Tensor | None) -> Tensor:
        del each, both
        assert digits is not None
        return read(digits)

    return reader


READERS: dict[str, Reader] = {
    "features": lambda _, both, __: both,
    "digit_logits": of_digits(lambda digits: digits.flatten(1)),
    "digit_probabilities": of_digits(lambda digits: F.softmax(digits, dim=2).flatten(1)),
    "posterior": of_digits(lambda digits: digits),
    "feature_difference": lambda each, _, __: difference(each),
    "distance": lambda each, _, __: difference(each).square().sum(dim=1, keepdim=True),
    "logit_difference": of_digits(lambda digits: digits[:, 0] - digits[:, 1]),
    "digit_argmax": of_digits(lambda digits: digits.argmax(dim=2).to(digits.dtype) / (CLASSES - 1)),
}


class Posterior(nn.Module):
    """The comparator without parameters: from the digits' logits [..., 2, 10] to one logit [..., 1].

    With the posteriors p and q of the two digits, taken as independent, P(first <= second) is the sum of p(i) q(j) over
    i <= j. The logit is the logarithm of P / (1 - P), worked out from logarithms, so that it stays finite and has a
    gradient however sure the network is. Another `target` sums over its own i and j.

    temperature: the logits are divided by it. Label smoothing and averages over views spread every posterior over digits that
    nobody saw, and the sum over them can outweigh the digit that was read; a temperature below 1 takes that back (temperature
    scaling, Guo et al. 2017).
    """

    def __init__(self, target: str, temperature: float = 1.0) -> None:
        super().__init__()
        self.holds, self.temperature = TARGETS[target].answer, temperature

    def forward(self, digits: Tensor, noise: Tensor | None = None) -> Tensor:
        """digits: logits or log probabilities, [..., 2, 10]; noise is not used."""
        del noise
        logs = F.log_softmax(digits / self.temperature, dim=-1)
        joint = logs[..., 0, :, None] + logs[..., 1, None, :]  # [..., first, second]
        digit = torch.arange(CLASSES, device=digits.device)
        wanted = self.holds(digit[:, None], digit)
        holds, fails = (joint.masked_fill(other, -torch.inf).flatten(-2).logsumexp(dim=-1) for other in (~wanted, wanted))
        return (holds - fails)[..., None]
