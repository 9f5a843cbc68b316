"""The loss of a batch, against torch's own loss modules round by round."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from digitcmp.errors import ConfigError
from digitcmp.model.network import Outputs
from digitcmp.train.evaluate import decide
from digitcmp.train.losses import (
    Extras,
    Term,
    balanced,
    checked,
    comparison_loss,
    contrastive,
    digit_loss,
    total_loss,
    triplet,
)

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


def embedded(digits: Tensor) -> Tensor:
    """Random features [S, B, 2, 4], some of which are far apart."""
    return torch.randn(*digits.shape, 4, generator=torch.Generator().manual_seed(3), requires_grad=True)


@STACKS
def test_contrastive_loss(rounds: int) -> None:
    """By the formula, pair by pair."""
    digits, margin = classes(3, rounds, PAIRS, 2), 2.5
    features = embedded(digits)
    found = contrastive(features, digits, margin)
    for index in range(rounds):
        distances = F.pairwise_distance(features[index, :, 0], features[index, :, 1], eps=0)
        parts = [
            distance**2 if first == second else max(margin - distance, torch.tensor(0.0)) ** 2
            for distance, (first, second) in zip(distances, digits[index].tolist(), strict=True)
        ]
        torch.testing.assert_close(found[index], torch.stack(parts).mean())
    found.sum().backward()
    assert features.grad is not None
    assert features.grad.isfinite().all()


@STACKS
def test_triplet_loss(rounds: int) -> None:
    """Every image with its farthest like and its nearest unlike, one by one."""
    digits, margin = classes(3, rounds, PAIRS, 2), 0.7
    features = embedded(digits)
    found = triplet(features, digits, margin)
    for index in range(rounds):
        flat, labels = features[index].flatten(0, 1), digits[index].flatten()
        parts = []
        for one, label in zip(flat, labels, strict=True):
            distances = (flat - one).norm(dim=1)
            parts.append(F.relu(distances[labels == label].max() - distances[labels != label].min() + margin))
        torch.testing.assert_close(found[index], torch.stack(parts).mean(), rtol=1e-4, atol=1e-5)
    found.sum().backward()
    assert features.grad is not None
    assert features.grad.isfinite().all()


@STACKS
def test_losses_come_together(rounds: int) -> None:
    """Weights of heads and of the comparison; their mean; and one of the two in turn."""
    comparison, digit = normal(rounds, PAIRS, 1), normal(rounds, PAIRS, 2, 10)
    target, digits, heads = classes(2, rounds, PAIRS), classes(10, rounds, PAIRS, 2), normal(rounds, PAIRS, 3, 2, 10)
    outputs, weights = Outputs(comparison, digit, heads), [0.1, 0.2, 0.3]
    plain = comparison_loss(comparison, target)
    of_heads = sum(weight * digit_loss(heads[:, :, index], digits) for index, weight in enumerate(weights))
    read = 0.5 * (digit_loss(digit, digits) + of_heads)
    turn = torch.tensor([True, False, True][:rounds])
    for combine, expected in (
        ("sum", 2 * plain + read),
        ("mean", (2 * plain + read) / 2),
        ("alternate", torch.where(turn, 2 * plain, read)),
    ):
        extras = Extras(2.0, weights, combine=combine)
        torch.testing.assert_close(total_loss(outputs, target, digits, 0.5, 0.0, extras, turn), expected)
    extras = Extras(terms=[(contrastive, 0.4)])
    with_term = total_loss(outputs._replace(heads=None, embeddings=embedded(digits)), target, digits, 0.0, 0.0, extras)
    torch.testing.assert_close(with_term, plain + 0.4 * contrastive(embedded(digits), digits, 1.0))


@STACKS
def test_balanced_answers_weigh_the_same(rounds: int) -> None:
    """However rare they are; the mean weight of a pair is 1."""
    target = (torch.arange(40) % 8 == 0).long().expand(rounds, 40)
    weights = balanced(target, 3)
    by_pair = weights.gather(1, target)
    torch.testing.assert_close(by_pair.mean(dim=1), torch.ones(rounds))
    torch.testing.assert_close((by_pair * target).sum(dim=1), (by_pair * (1 - target)).sum(dim=1))
    logits = normal(rounds, 40, 3)
    expected = (by_pair * F.cross_entropy(logits.flatten(0, 1), target.flatten(), reduction="none").view(rounds, 40)).mean(dim=1)
    torch.testing.assert_close(comparison_loss(logits, target, classes=weights), expected)


@STACKS
@pytest.mark.parametrize(
    ("term", "told"),
    [
        (lambda embeddings, *_: embeddings.square().mean(), r"gives a tensor \[\]"),
        (lambda embeddings, *_: embeddings.sum(dim=(2, 3)), r"gives a tensor \[\d, 13\]"),
        (lambda embeddings, *_: embeddings.mean(dim=(1, 2, 3))[:, None], r"gives a tensor \[\d, 1\]"),
        (lambda *_: 0.5, "gives float"),
    ],
)
def test_a_term_is_a_loss_for_each_round(rounds: int, term: Term, told: str) -> None:
    """One number for all rounds would train each of them by the digits of the others, where they are stacked."""
    embeddings, digits = normal(rounds, PAIRS, 2, 4), classes(10, rounds, PAIRS, 2)
    right = checked("right", lambda embeddings, *_: embeddings.square().mean(dim=(1, 2, 3)))
    assert right(embeddings, digits, 1.0).shape == (rounds,)
    with pytest.raises(ConfigError, match=f"loss.terms: mine {told}; it is to give a loss for each of S rounds, here \\[{rounds}\\]"):
        checked("mine", term)(embeddings, digits, 1.0)
