"""Rounds that go by their validation accuracies: which have ended, and the weights that were best."""

from collections.abc import Sequence

import torch
from torch import Tensor

from digitcmp.config.schema import StoppingConfig
from digitcmp.train.program import Program
from digitcmp.train.results import has_waited


class Stopping:
    """The validation accuracies of S rounds so far, and (where they end with their best weights) copies of those.

    history: those accuracies; copies: by what is learned, shaped like it.
    """

    def __init__(self, program: Program, config: StoppingConfig, history: Sequence[Sequence[float]], members: int) -> None:
        """history: what there was before, for each round. members: networks of a round."""
        self.program, self.patience, self.members = program, config.patience, members
        self.history = [[*accuracies] for accuracies in history]
        self.used = config.best or config.patience is not None
        self.copies = {tensor: tensor.detach().clone() for tensor in program.tensors()} if self.used else {}
        self.ended = [self.over(accuracies) for accuracies in self.history]

    def note(self, accuracies: Sequence[float], last: bool) -> bool:
        """After an epoch: keep the weights of rounds that have become better, and give back theirs to those that have ended. last: all end.
        Returns whether a round has ended just now."""
        better = [accuracy > max(before, default=-1.0) for accuracy, before in zip(accuracies, self.history, strict=True)]
        for accuracy, before in zip(accuracies, self.history, strict=True):
            before.append(accuracy)
        if not self.used:
            return False
        self.copy([new and not over for new, over in zip(better, self.ended, strict=True)], keep=True)
        earlier, self.ended = self.ended, [last or over or self.over(own) for over, own in zip(self.ended, self.history, strict=True)]
        self.restore()
        return self.ended != earlier

    def over(self, accuracies: Sequence[float]) -> bool:
        """Whether a round with these accuracies has waited long enough for a better one."""
        return has_waited(accuracies, self.patience)

    def restore(self) -> None:
        """Give their best weights to the rounds that have ended, whatever has become of them in their stack."""
        self.copy(self.ended, keep=False)

    @torch.no_grad()
    def copy(self, rounds: Sequence[bool], keep: bool) -> None:
        """From the networks of these rounds to the copies (keep), or back."""
        if not any(rounds):
            return
        own = self.program.of_each(lambda tensor: tensor if tensor in self.copies else None)
        for index, (learned, copies) in enumerate(zip(own, self.program.of_each(self.copies.get), strict=True)):
            for name in learned if rounds[index // self.members] else ():
                to, of = (copies[name], learned[name]) if keep else (learned[name], copies[name])
                to.copy_(of)


def slowed(program: Program, before: Sequence[dict[str, Tensor]], factors: Sequence[float], members: int) -> None:
    """Leave each round this factor of the step that its networks have made from `before`: what a learning rate of its own would have made
    of it, as a step is proportional to the learning rate in all algorithms that there are."""
    with torch.no_grad():
        for index, (learned, old) in enumerate(zip(program.of_each(weights), before, strict=True)):
            for name, tensor in learned.items():
                tensor.copy_(torch.lerp(old[name], tensor, factors[index // members]))


def weights(tensor: Tensor) -> Tensor | None:
    """What an optimiser moves."""
    return tensor if tensor.requires_grad else None


def clip(program: Program, longest: float) -> None:
    """Shorten the gradient of each network that is longer than this (Pascanu, Mikolov and Bengio 2013)."""
    for gradients in program.of_each(lambda tensor: tensor.grad):
        length = torch.stack([gradient.norm() for gradient in gradients.values()]).norm()
        for gradient in gradients.values():
            gradient.mul_((longest / (length + 1e-6)).clamp(max=1))
