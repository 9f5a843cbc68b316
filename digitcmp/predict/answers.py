"""What a kept network says of pairs of digits that are in no data set."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from digitcmp.config.composed import from_record
from digitcmp.config.network import batch_norm, drops
from digitcmp.config.targets import TARGETS, Target
from digitcmp.errors import RunError
from digitcmp.experiment.about import read_about
from digitcmp.experiment.networks import TrainedNetwork, load_network
from digitcmp.train.evaluate import probabilities

BATCH = 200  # pairs that are asked about at a time


@dataclass(frozen=True)
class Answer:
    """Of one pair. probability: of what is asked, as the network holds it (of first <= second, or that both are of one class); posteriors:
    of the ten digits for either place, two lists, None without digit head."""

    probability: float
    posteriors: list[list[float]] | None

    @property
    def holds(self) -> bool:
        """Whether the network holds it to be true."""
        return self.probability >= 0.5

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
        answers = []
        for batch in torch.split(images, BATCH):
            outputs = self.network(batch)
            holds = probabilities(outputs.comparison)[:, list(self.target.means)].sum(dim=-1)
            digits = None if outputs.digits is None else F.softmax(outputs.digits.double(), dim=-1).tolist()
            answers += [Answer(value, None if digits is None else digits[pair]) for pair, value in enumerate(holds.tolist())]
        return answers


def load_kept(folder: Path, seed: int | None = None) -> Kept:
    """The network of a run's folder. seed: of which round; None for the first. Raises RunError where there is none, and for one whose
    batch norm or dropout was on in its test: it has no answer for a pair alone."""
    network, config = load_network(folder, seed), from_record(read_about(folder)["configuration"])
    quirks = {
        "batch_statistics": config.model.batch_statistics and batch_norm(config.model),
        "test_dropout": config.model.test_dropout and drops(config.model),
    }
    for quirk in (name for name, there in quirks.items() if there):
        raise RunError(
            f"{folder}: with model.{quirk}=true a network's answer depends on the place of a pair among those of the test, so that it has "
            "none for a pair alone; ask one that was trained without"
        )
    return Kept(folder, config.data.source, network)
