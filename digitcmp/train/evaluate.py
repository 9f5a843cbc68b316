"""Accuracy on pairs that are not trained on: of a network alone, or of the mean of several members and several views of each pair."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from digitcmp.config.comparators import CLASSES
from digitcmp.data.pairs import Pairs
from digitcmp.data.transforms import Column, in_columns, moved, plain
from digitcmp.model.network import Outputs
from digitcmp.seeding import MemberSeed, Stream, step_keys
from digitcmp.train.graphs import Recorded
from digitcmp.train.program import Program

BATCH = 200  # pairs, where test_batch is null: larger batches gain nothing and take more memory


class EnsemblePredictor:
    """Means over the members of each round's ensemble and over shifted views of each pair (test-time augmentation).

    The members of a round see the digits in these columns, which take turns: member 0 in the first, and so on, over and over.
    Digits are averaged as probabilities. A comparator without parameters compares these means; any other gives
    probabilities that are averaged themselves.
    """

    def __init__(self, program: Program, members: int, tta_shift: float, columns: Sequence[Column]) -> None:
        self.program, self.members, self.columns = program, members, columns
        self.shifts, self.train = shifts(tta_shift), program.train

    def __call__(self, images: Tensor, noise: Tensor | None = None) -> Outputs:
        inputs = in_columns(images, self.columns, self.members)
        views = [self.program(moved(inputs, *shift) if any(shift) else inputs, noise) for shift in self.shifts]
        comparison = self.gather([view.comparison for view in views])
        digits = [view.digits for view in views if view.digits is not None]
        if not digits:
            return Outputs(mean_comparison(comparison), None)
        mean, posterior = mean_posterior(self.gather(digits)), self.program.posterior
        return Outputs(mean_comparison(comparison) if posterior is None else posterior(mean), mean)

    def gather(self, predictions: list[Tensor]) -> Tensor:
        """From a tensor [S x members, ...] per view to one [views x members, S, ...]."""
        return torch.stack(predictions).view(len(predictions), -1, self.members, *predictions[0].shape[1:]).movedim(2, 1).flatten(0, 1)


Predictor = Program | EnsemblePredictor  # what is tested: Program, for rounds of one network each


def make_predictor(program: Program, members: int, tta_shift: float, columns: Sequence[Column]) -> Predictor:
    """The networks themselves, or an EnsemblePredictor where there is something to average, or digits in another form."""
    alone = members == 1 and tta_shift == 0 and columns[0] is plain
    return program if alone else EnsemblePredictor(program, members, tta_shift, columns)


def shifts(tta_shift: float) -> list[tuple[float, float]]:
    """How far the views of a pair are moved, (x, y) in pixels: not at all, and to all eight sides."""
    steps = (0.0, -tta_shift, tta_shift) if tta_shift else (0.0,)
    return [(x, y) for x in steps for y in steps]


def mean_posterior(logits: Tensor) -> Tensor:
    """The logarithm of the mean of several posteriors: logits [V, ..., classes] -> log probabilities [..., classes]."""
    return F.log_softmax(logits, dim=-1).logsumexp(dim=0) - torch.tensor(float(len(logits))).log()


def mean_comparison(logits: Tensor) -> Tensor:
    """The logits of the mean probability of several comparisons: [V, ..., 1 to 3] -> [..., 1 to 3]."""
    if logits.shape[-1] > 1:
        return mean_posterior(logits)
    return F.logsigmoid(logits).logsumexp(dim=0) - F.logsigmoid(-logits).logsumexp(dim=0)


def decide(logits: Tensor) -> Tensor:
    """The answers, int64 [S, B]: 1 where the network holds the target to be true; of three, the most probable. logits [S, B, 1 to 3]."""
    return (logits[..., 0] > 0).long() if logits.shape[-1] == 1 else logits.argmax(dim=-1)


def probabilities(logits: Tensor) -> Tensor:
    """How probable the network holds each answer, float64 [B, 2 or 3]. logits [B, 1 to 3]."""
    logits = logits.double()
    if logits.shape[-1] > 1:
        return F.softmax(logits, dim=-1)
    return torch.cat([torch.sigmoid(-logits), torch.sigmoid(logits)], dim=-1)


@dataclass(frozen=True)
class Scores:
    """Per round: the fractions of right comparisons and of right digits (of both places together; None without digit head),
    and whether all comparison logits are finite: a network that diverged in its last step answers, but has no opinion.

    right: bool [S, N], which pairs were answered rightly; read: int64 [S, N, 2], the digits that were read, None without digit head.
    """

    accuracy: list[float]
    digit_accuracy: list[float] | None
    finite: list[bool]
    right: Tensor = field(compare=False, repr=False)
    read: Tensor | None = field(compare=False, repr=False)

    def on_cpu(self) -> "Scores":
        """The same, all on the CPU."""
        return replace(self, right=self.right.cpu(), read=None if self.read is None else self.read.cpu())


def dropout_keys(
    wanted: bool, seeds: Sequence[MemberSeed], dropouts: int, pairs: int, size: int | None, device: torch.device | str = "cpu"
) -> Tensor | None:
    """The keys of so many dropouts of the networks of these members, in the batches of a test of so many pairs: int32 [batches, networks,
    dropouts], the same in every test. None where nothing is left out in tests. wanted: model.test_dropout; size: see `evaluate`."""
    if not (wanted and dropouts):
        return None
    batches = -(-pairs // (size or BATCH))
    return torch.stack([step_keys(seed, Stream.TEST_DROPOUT, batches, dropouts) for seed in seeds], dim=1).to(device)


class Evaluation:
    """The test of the rounds' networks, in evaluation mode, on their pairs [S, N], so many at a time. noise: see `dropout_keys`; at least
    as many batches as there are."""

    def __init__(self, predictor: Predictor, pairs: Pairs, size: int | None = None, noise: Tensor | None = None) -> None:
        self.predictor, self.pairs, self.size, self.noise = predictor, pairs, size or BATCH, noise
        self.ask = Recorded(self.answers, pairs.target.device)

    @torch.no_grad()
    def __call__(self) -> Scores:
        """What they answer now."""
        self.predictor.train(False)
        right, finite, *read = self.ask()
        count = self.pairs.target.shape[1]
        accuracy = (right.sum(dim=1).cpu().double() / count).tolist()
        hits = (read[0] == self.pairs.digits).sum(dim=(1, 2)).cpu() if read else None
        digits = None if hits is None else (hits.double() / (2 * count)).tolist()
        return Scores(accuracy, digits, finite.tolist(), right, read[0] if read else None)

    def answers(self) -> tuple[Tensor, ...]:
        """Which pairs are answered rightly [S, N], whether all comparison logits are finite [S], and, with a digit head, the digits that
        are read [S, N, 2]."""
        right, read, pairs = [], [], self.pairs
        finite = torch.ones(len(pairs.target), dtype=torch.bool, device=pairs.target.device)
        for number, start in enumerate(range(0, pairs.target.shape[1], self.size)):
            batch = slice(start, start + self.size)
            outputs = self.predictor(pairs.images[:, batch], None if self.noise is None else self.noise[number])
            finite &= outputs.comparison.isfinite().all(dim=2).all(dim=1)
            right.append(decide(outputs.comparison) == pairs.target[:, batch])
            if outputs.digits is not None:
                read.append(outputs.digits.argmax(dim=-1))
        return torch.cat(right, dim=1), finite, *([torch.cat(read, dim=1)] if read else [])


def evaluate(predictor: Predictor, pairs: Pairs, size: int | None = None, noise: Tensor | None = None) -> Scores:
    """One `Evaluation`."""
    return Evaluation(predictor, pairs, size, noise)()


def by_distance(right: Tensor, digits: Tensor) -> tuple[list[list[int]], list[list[int]]]:
    """How many pairs have each distance |first - second| in 0 … 9, and how many of them are answered rightly: two [S][10].

    right: bool [S, N]; digits: int64 [S, N, 2].
    """
    distance = (digits[..., 0] - digits[..., 1]).abs()
    member = distance[..., None] == torch.arange(CLASSES, device=distance.device)  # [S, N, 10]
    return member.sum(dim=1).tolist(), (member & right[..., None]).sum(dim=1).tolist()


def confusion(scores: Scores, digits: Tensor, index: int) -> tuple[list[int], list[int], list[int] | None]:
    """Of the round at this index, for each of 10 x 10 cells (row by row): how many pairs have these first and second digits, how many of
    them are answered rightly, and how many digits of the row are read as the column's; None for the last without digit head.

    digits: int64 [S, N, 2], the true ones.
    """
    own = digits[index]
    cells = own[:, 0] * CLASSES + own[:, 1]
    read = None if scores.read is None else counted((own * CLASSES + scores.read[index]).flatten())
    return counted(cells), counted(cells[scores.right[index]]), read


def counted(cells: Tensor) -> list[int]:
    """How often each of 100 numbers occurs."""
    counts: list[int] = torch.bincount(cells, minlength=CLASSES**2).tolist()
    return counts
