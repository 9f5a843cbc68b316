"""What is minimised: the comparison loss, the losses of the digits, and other terms, one number for each of S rounds."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from digitcmp.config.comparators import CLASSES
from digitcmp.config.registry import LOSSES, load
from digitcmp.config.schema import Config
from digitcmp.errors import ConfigError
from digitcmp.model.network import Outputs
from digitcmp.promises import check_apart, is_looked_at, untouched

Term = Callable[[Tensor, Tensor, float], Tensor]  # embeddings [S, B, 2, F], digits [S, B, 2] and a margin to a loss [S]


def comparison_loss(logits: Tensor, target: Tensor, smoothing: float = 0.0, classes: Tensor | None = None) -> Tensor:
    """Mean loss of the comparison, [S]. logits [S, B, 1]: binary cross-entropy; [S, B, 2 or 3]: cross-entropy. target int64 [S, B].

    smoothing: this share of every label is spread evenly over all answers (label smoothing, Szegedy et al. 2016). classes: a weight for
    each answer, [S, answers].
    """
    if logits.shape[-1] == 1:
        soft = target.to(logits.dtype) * (1 - smoothing) + smoothing / 2
        losses = F.binary_cross_entropy_with_logits(logits[..., 0], soft, reduction="none")
    else:
        losses = F.cross_entropy(logits.flatten(0, 1), target.flatten(), reduction="none", label_smoothing=smoothing).view(target.shape)
    if classes is not None:
        losses = losses * classes.gather(1, target)
    return losses.mean(dim=1)


def digit_loss(logits: Tensor, digits: Tensor, smoothing: float = 0.0) -> Tensor:
    """The auxiliary loss, [S]: cross-entropy of the first digits plus that of the second. logits [S, B, 2, 10], digits int64 [S, B, 2]."""
    losses = F.cross_entropy(logits.reshape(-1, CLASSES), digits.flatten(), reduction="none", label_smoothing=smoothing)
    return losses.view(digits.shape).mean(dim=1).sum(dim=1)


def contrastive(embeddings: Tensor, digits: Tensor, margin: float) -> Tensor:
    """Two digits of a pair that are the same come together, others stay a margin apart (Hadsell, Chopra and LeCun 2006): [S]."""
    squared = (embeddings[..., 0, :] - embeddings[..., 1, :]).square().sum(dim=-1)  # [S, B]
    apart = F.relu(margin - (squared + 1e-12).sqrt()).square()
    return torch.where(digits[..., 0] == digits[..., 1], squared, apart).mean(dim=1)


def triplet(embeddings: Tensor, digits: Tensor, margin: float) -> Tensor:
    """Each image of the batch against the farthest one of its digit and the nearest one of another (Hermans, Beyer and Leibe 2017): [S]."""
    features, labels = embeddings.flatten(1, 2), digits.flatten(1, 2)  # [S, 2 B, F], [S, 2 B]
    squares = features.square().sum(dim=-1)
    squared = squares[:, :, None] + squares[:, None, :] - 2 * features @ features.transpose(1, 2)
    distance = (F.relu(squared) + 1e-12).sqrt()
    same = labels[:, :, None] == labels[:, None, :]
    farthest, nearest = distance.masked_fill(~same, 0).amax(dim=2), distance.masked_fill(same, torch.inf).amin(dim=2)
    return F.relu(farthest - nearest + margin).mean(dim=1)


def balanced(target: Tensor, answers: int) -> Tensor:
    """A weight for each answer, [S, answers], with which all that occur in the targets int64 [S, N] weigh the same, and a mean of 1."""
    counts = torch.stack([(target == answer).sum(dim=1) for answer in range(max(answers, 2))], dim=1)
    present = (counts > 0).sum(dim=1, keepdim=True)
    return target.shape[1] / (present * counts.clamp(min=1))


COMBINATIONS: dict[str, Callable[[Tensor, Tensor, Tensor | None], Tensor]] = {
    "sum": lambda comparison, digits, _: comparison + digits,
    "mean": lambda comparison, digits, _: (comparison + digits) / 2,
    "alternate": lambda comparison, digits, turn: torch.where(turn, comparison, digits),  # type: ignore[arg-type]
}


@dataclass(frozen=True)
class Extras:
    """What a loss has beside the comparison and the digits. comparison: weight of the comparison loss; heads: of each auxiliary head;
    terms: of each term; combine: how the losses of comparison and digits come together."""

    comparison: float = 1.0
    heads: Sequence[float] = ()
    terms: Sequence[tuple[Term, float]] = ()
    margin: float = 1.0
    combine: str = "sum"


PLAIN = Extras()


def checked(name: str, term: Term) -> Term:
    """A term of others that raises ConfigError, with this name, where it gives anything but a loss for each of S rounds, of its own digits
    alone (`is_looked_at`): rounds that are trained beside each other would learn from each other's digits. Or where
    it changes what it is given, which is what the data set has."""
    calls, part = 0, f"loss.terms: {name}"

    def loss(embeddings: Tensor, digits: Tensor, margin: float) -> Tensor:
        nonlocal calls
        looked = is_looked_at(calls)
        calls += 1
        with untouched(part, embeddings, digits, whole=looked):
            losses = term(embeddings, digits, margin)
        if not isinstance(losses, Tensor) or losses.shape != embeddings.shape[:1]:
            made = f"a tensor {[*losses.shape]}" if isinstance(losses, Tensor) else type(losses).__name__
            wanted = f"a loss for each of S rounds, here [{len(embeddings)}], from embeddings [S, B, 2, F], here {[*embeddings.shape]}"
            raise ConfigError(f"{part} gives {made}; it is to give {wanted}")
        if looked:
            check_apart(part, lambda some, read: term(some, read, margin), embeddings, digits)
        return losses

    return loss


def found(name: str) -> Term:
    """The term of this name; one of another package is watched while it is called."""
    term: Term = load(LOSSES[name])
    package = LOSSES.package_of(name)
    return term if package is None else checked(f"{name} of {package}", term)


def extras_of(config: Config) -> Extras:
    """Those of a configuration."""
    loss = config.loss
    terms = [(found(term.loss), term.weight) for term in loss.terms]
    return Extras(loss.comparison, [head.weight for head in config.model.aux_heads], terms, loss.margin, loss.combine)


def total_loss(
    outputs: Outputs,
    target: Tensor,
    digits: Tensor,
    aux_weight: float,
    smoothing: float = 0.0,
    extras: Extras = PLAIN,
    turn: Tensor | None = None,
    classes: Tensor | None = None,
) -> Tensor:
    """Comparison loss + aux_weight x (digit loss 1 + digit loss 2), and what the extras say, [S].

    turn: bool [S], whether it is the comparison's turn, where the two alternate. classes: see `comparison_loss`.
    """
    loss = comparison_loss(outputs.comparison, target, smoothing, classes)
    if extras.comparison != 1:
        loss = extras.comparison * loss
    read = [(1.0, outputs.digits)] if outputs.digits is not None else []
    if outputs.heads is not None:
        read += [*zip(extras.heads, outputs.heads.unbind(dim=2), strict=True)]
    if aux_weight > 0 and read:
        parts = [
            weight * digit_loss(logits, digits, smoothing) if weight != 1 else digit_loss(logits, digits, smoothing)
            for weight, logits in read
        ]
        loss = COMBINATIONS[extras.combine](
            loss, aux_weight * torch.stack(parts).sum(dim=0) if len(parts) > 1 else aux_weight * parts[0], turn
        )
    for term, weight in extras.terms:
        assert outputs.embeddings is not None
        loss = loss + weight * term(outputs.embeddings, digits, extras.margin)
    return loss
