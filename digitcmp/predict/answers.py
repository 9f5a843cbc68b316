"""What a kept network says of pairs of digits that are in no data set."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from digitcmp.config.targets import TARGETS, Target
from digitcmp.errors import RunError
from digitcmp.experiment.about import read_about
from digitcmp.experiment.networks import TrainedNetwork, load_network
from digitcmp.train.evaluate import decide, probabilities

BATCH = 200  # pairs that are asked about at a time


@dataclass(frozen=True)
class Answer:
    """Of one pair. probabilities: of what may be answered, by its sign, as the network holds it; posteriors: of the ten digits for either
    place, two lists, None without digit head; sign: what the network answers in its test, also where another answer is as probable."""

    probabilities: dict[str, float]
    posteriors: list[list[float]] | None
    sign: str

    @property
    def read(self) -> tuple[int, int] | None:
        """The digits that it finds most probable."""
        if self.posteriors is None:
            return None
        first, second = (max(range(len(one)), key=one.__getitem__) for one in self.posteriors)
        return first, second


@dataclass(frozen=True)
class Kept:
    """A network that a run has kept. source: of the data that it was trained on."""

    folder: Path
    source: str
    network: TrainedNetwork

    @property
    def target(self) -> Target:
        """What it was trained to answer."""
        return TARGETS[self.network.target]

    @torch.no_grad()
    def ask(self, images: Tensor) -> list[Answer]:
        """Answers for pairs of grey images [N, 2, s, s] in [0, 1], in the form of its data."""
        answers: list[Answer] = []
        for batch in torch.split(images, BATCH):
            outputs = self.network(batch)
            sure = [dict(zip(self.target.signs, one, strict=True)) for one in probabilities(outputs.comparison).tolist()]
            digits = None if outputs.digits is None else F.softmax(outputs.digits.double(), dim=-1).tolist()
            posteriors = [None] * len(batch) if digits is None else digits
            signs = [self.target.signs[answer] for answer in decide(outputs.comparison).tolist()]
            answers += map(Answer, sure, posteriors, signs)
        return answers


def load_kept(folder: Path, seed: int | None = None) -> Kept:
    """The network of a run's folder. seed: of which round; None for the first. Raises RunError where there is none, and for one whose
    batch norm or dropout was on in its test: it has no answer for a pair alone."""
    network = load_network(folder, seed)
    if network.batchwise:
        raise RunError(f"{folder}: {network.batchwise}")
    return Kept(folder, read_about(folder)["configuration"]["data"]["source"], network)
