"""Digit posteriors: the comparison that follows from them without parameters, and their mean over several answers."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

CLASSES = 10


class Posterior(nn.Module):
    """The comparator without parameters: from the digits' logits [..., 2, 10] to one logit [..., 1].

    With the posteriors p and q of the two digits, taken as independent, P(first <= second) is the sum of p(i) q(j) over
    i <= j. The logit is the logarithm of P / (1 - P), worked out from logarithms, so that it stays finite and has a
    gradient however sure the network is. `target` "gt" asks whether first > second, the opposite sign.

    temperature: the logits are divided by it. Label smoothing and averages over views spread every posterior over digits that
    nobody saw, and the sum over them can outweigh the digit that was read; a temperature below 1 takes that back (temperature
    scaling, Guo et al. 2017).
    """

    def __init__(self, target: str, temperature: float = 1.0) -> None:
        super().__init__()
        self.sign = 1.0 if target == "le" else -1.0
        self.temperature = temperature

    def forward(self, digits: Tensor, noise: Tensor | None = None) -> Tensor:
        """digits: logits or log probabilities, [..., 2, 10]; noise is not used."""
        del noise
        logs = F.log_softmax(digits / self.temperature, dim=-1)
        joint = logs[..., 0, :, None] + logs[..., 1, None, :]  # [..., first, second]
        digit = torch.arange(CLASSES, device=digits.device)
        ordered = digit[:, None] <= digit
        holds, fails = (joint.masked_fill(other, -torch.inf).flatten(-2).logsumexp(dim=-1) for other in (~ordered, ordered))
        return self.sign * (holds - fails)[..., None]


def mean_posterior(logits: Tensor) -> Tensor:
    """The logarithm of the mean of several posteriors: logits [V, ..., classes] -> log probabilities [..., classes]."""
    return F.log_softmax(logits, dim=-1).logsumexp(dim=0) - torch.tensor(float(len(logits))).log()


def mean_comparison(logits: Tensor) -> Tensor:
    """The logits of the mean probability of several comparisons: [V, ..., 1 or 2] -> [..., 1 or 2]."""
    if logits.shape[-1] > 1:
        return mean_posterior(logits)
    return F.logsigmoid(logits).logsumexp(dim=0) - F.logsigmoid(-logits).logsumexp(dim=0)
