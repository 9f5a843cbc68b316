"""The loss of a batch, against torch's own loss modules round by round."""

import pytest
import torch
from torch import Tensor, nn

from digitcmp.model.network import Outputs
from digitcmp.train.evaluate import decide
from digitcmp.train.loop import comparison_loss, digit_loss, total_loss

PAIRS = 13
STACKS = pytest.mark.parametrize("rounds", [1, 3])
OUTPUTS = pytest.mark.parametrize("outputs", [1, 2])


def normal(*shape: int) -> Tensor:
    """Random logits, the same in every call."""
    return 3 * torch.randn(*shape, generator=torch.Generator().manual_seed(1))


def classes(count: int, *shape: int) -> Tensor:
    """Random classes, the same in every call."""
    return torch.randint(count, shape, generator=torch.Generator().manual_seed(2))


def reference(logits: Tensor, target: Tensor) -> Tensor:
    """The comparison loss of one round, by torch's modules."""
    if logits.shape[-1] == 1:
        return nn.BCEWithLogitsLoss()(logits[:, 0], target.float())
    return nn.CrossEntropyLoss()(logits, target)


@STACKS
@OUTPUTS
def test_comparison_loss(rounds: int, outputs: int) -> None:
    """One logit: binary cross-entropy; two: cross-entropy; a mean over the pairs of each round."""
    logits, target = normal(rounds, PAIRS, outputs), classes(2, rounds, PAIRS)
    expected = torch.stack([reference(logits[index], target[index]) for index in range(rounds)])
    torch.testing.assert_close(comparison_loss(logits, target), expected)


@STACKS
def test_digit_loss(rounds: int) -> None:
    """Cross-entropy of the first digits plus that of the second."""
    logits, digits = normal(rounds, PAIRS, 2, 10), classes(10, rounds, PAIRS, 2)
    module = nn.CrossEntropyLoss()
    expected = [sum(module(logits[index, :, digit], digits[index, :, digit]) for digit in (0, 1)) for index in range(rounds)]
    torch.testing.assert_close(digit_loss(logits, digits), torch.stack(expected))


@STACKS
@pytest.mark.parametrize("weight", [0.5, 2.0])
def test_the_auxiliary_loss_is_added_with_its_weight(rounds: int, weight: float) -> None:
    """Comparison loss + weight x (digit loss 1 + digit loss 2); nothing but the first term without weight or digits."""
    comparison, digit = normal(rounds, PAIRS, 1), normal(rounds, PAIRS, 2, 10)
    target, digits = classes(2, rounds, PAIRS), classes(10, rounds, PAIRS, 2)
    plain = comparison_loss(comparison, target)
    torch.testing.assert_close(total_loss(Outputs(comparison, digit), target, digits, weight), plain + weight * digit_loss(digit, digits))
    assert torch.equal(total_loss(Outputs(comparison, digit), target, digits, 0), plain)
    assert torch.equal(total_loss(Outputs(comparison, None), target, digits, 0), plain)


@OUTPUTS
def test_stacked_rounds_do_not_touch_each_other(outputs: int) -> None:
    """The gradient of the summed losses is, for each round, that of the round alone."""
    logits, target = normal(3, PAIRS, outputs).requires_grad_(), classes(2, 3, PAIRS)
    comparison_loss(logits, target).sum().backward()
    for index in range(3):
        alone = logits[index].detach().requires_grad_()
        reference(alone, target[index]).backward()
        torch.testing.assert_close(logits.grad[index], alone.grad)


@STACKS
@OUTPUTS
def test_decisions_are_the_likelier_answers(rounds: int, outputs: int) -> None:
    """The answer, int64 [S, B], is the one whose loss is smaller."""
    logits = normal(rounds, PAIRS, outputs)
    loss = [torch.stack([reference(pair[None], torch.tensor([answer])) for pair in logits.flatten(0, 1)]) for answer in (0, 1)]
    expected = (loss[1] < loss[0]).long().view(rounds, PAIRS)
    assert torch.equal(decide(logits), expected)
    assert expected.unique().tolist() == [0, 1]
