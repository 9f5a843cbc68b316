"""The loss of a batch, one number per round."""

from torch import Tensor
from torch.nn import functional as F

from digitcmp.model.network import Outputs
from digitcmp.model.posterior import CLASSES


def comparison_loss(logits: Tensor, target: Tensor, smoothing: float = 0.0) -> Tensor:
    """Mean loss of the comparison, [S]. logits [S, B, 1]: binary cross-entropy; [S, B, 2]: cross-entropy. target int64 [S, B].

    smoothing: this share of every label is spread evenly over all answers (label smoothing, Szegedy et al. 2016).
    """
    if logits.shape[-1] == 1:
        soft = target.to(logits.dtype) * (1 - smoothing) + smoothing / 2
        losses = F.binary_cross_entropy_with_logits(logits[..., 0], soft, reduction="none")
    else:
        losses = F.cross_entropy(logits.flatten(0, 1), target.flatten(), reduction="none", label_smoothing=smoothing).view(target.shape)
    return losses.mean(dim=1)


def digit_loss(logits: Tensor, digits: Tensor, smoothing: float = 0.0) -> Tensor:
    """The auxiliary loss, [S]: cross-entropy of the first digits plus that of the second. logits [S, B, 2, 10], digits int64 [S, B, 2]."""
    losses = F.cross_entropy(logits.reshape(-1, CLASSES), digits.flatten(), reduction="none", label_smoothing=smoothing)
    return losses.view(digits.shape).mean(dim=1).sum(dim=1)


def total_loss(outputs: Outputs, target: Tensor, digits: Tensor, aux_weight: float, smoothing: float = 0.0) -> Tensor:
    """Comparison loss + aux_weight x (digit loss 1 + digit loss 2), [S]."""
    loss = comparison_loss(outputs.comparison, target, smoothing)
    if aux_weight > 0 and outputs.digits is not None:
        loss = loss + aux_weight * digit_loss(outputs.digits, digits, smoothing)
    return loss


def decide(logits: Tensor) -> Tensor:
    """The answers, int64 [S, B]: 1 where the network holds the target to be true. logits [S, B, 1 or 2]."""
    return (logits[..., 0] > 0).long() if logits.shape[-1] == 1 else logits.argmax(dim=-1)
