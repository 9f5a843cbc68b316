"""The plain loop that digitcmp is measured against: the networks of the published Table 1, and the residual network of examples/plugin,
as a straightforward script has them.

Written for this project after the published description: the two digits pass the tower one after the other, tensors
have the default memory layout, every epoch ends with a test of one pair after the other. It gives the same kind of
result, not the same numbers (it draws its weights from torch's global generator). Every network is called with images
[B, 2, 14, 14] and returns a comparison logit [B] and the digit logits [B, 10] of both digits, or None where it reads none.
"""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Digits = tuple[Tensor, Tensor] | None  # logits [B, 10] of the first digit and of the second one


class ReferenceNet(nn.Module):
    """Models 1 to 4: two convolutions per digit, three hidden dense layers, one logit, perhaps ten digit logits."""

    def __init__(self, shared: bool, digits: bool, batchnorm: bool) -> None:
        super().__init__()
        self.towers = nn.ModuleList(self.tower(batchnorm) for _ in range(1 if shared else 2))
        layers: list[nn.Module] = []
        for inputs, outputs in ((1600, 32), (32, 64), (64, 128)):
            layers += [nn.Linear(inputs, outputs), *([nn.BatchNorm1d(outputs)] if batchnorm else []), nn.ReLU()]
        self.dense = nn.Sequential(*layers)
        self.compare = nn.Linear(128, 1)
        self.digit = nn.Linear(128, 10) if digits else None

    @staticmethod
    def tower(batchnorm: bool) -> nn.Sequential:
        """One digit's convolutions."""
        first, second = ([nn.BatchNorm2d(channels)] if batchnorm else [] for channels in (16, 32))
        return nn.Sequential(
            nn.Conv2d(1, 16, 3), *first, nn.ReLU(), nn.Conv2d(16, 32, 3), *second, nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()
        )

    def forward(self, images: Tensor) -> tuple[Tensor, Digits]:
        """The joint features are scored against both digits."""
        first, second = self.towers[0](images[:, :1]), self.towers[-1](images[:, 1:])
        features = self.dense(torch.cat([first, second], dim=1))
        return self.compare(features)[:, 0], None if self.digit is None else (self.digit(features),) * 2


class ReferenceJointNet(nn.Module):
    """The wsn of project 001: a tower and dense layers per digit, compared by their digit logits."""

    def __init__(self) -> None:
        super().__init__()
        self.read = nn.Sequential(
            nn.Conv2d(1, 32, 5), nn.MaxPool2d(2), nn.ReLU(), nn.Conv2d(32, 49, 2), nn.MaxPool2d(2), nn.ReLU(), nn.Flatten()
        )
        self.dense = nn.Sequential(nn.Linear(196, 100), nn.ReLU(), nn.Linear(100, 10))
        self.compare = nn.Linear(20, 1)

    def forward(self, images: Tensor) -> tuple[Tensor, Digits]:
        """No digits: the published main variant without auxiliary loss."""
        first, second = self.dense(self.read(images[:, :1])), self.dense(self.read(images[:, 1:]))
        return self.compare(torch.cat([first, second], dim=1))[:, 0], None


class ReferenceResidual(nn.Module):
    """Two convolutions with a GELU between them, added to what comes in, then average pooling and a GELU."""

    def __init__(self, inputs: int, outputs: int, scale: float) -> None:
        super().__init__()
        self.core = nn.Sequential(nn.Conv2d(inputs, outputs, 3, padding=1), nn.GELU(), nn.Conv2d(outputs, outputs, 3, padding=1))
        self.projection = nn.Identity() if inputs == outputs else nn.Conv2d(inputs, outputs, 1)
        self.after = nn.Sequential(nn.AvgPool2d(2), nn.GELU())
        self.scale = scale

    def forward(self, x: Tensor) -> Tensor:
        """[n, inputs, h, w] -> [n, outputs, h / 2, w / 2]."""
        out: Tensor = self.after(self.projection(x) + self.scale * self.core(x))
        return out


class ReferenceGelunet(nn.Module):
    """The residual network of examples/plugin. Its two logits with cross-entropy are their difference with a binary one."""

    def __init__(self) -> None:
        super().__init__()
        blocks = [ReferenceResidual(16, 16, 1.0), ReferenceResidual(16, 32, 0.5)]
        self.read = nn.Sequential(nn.Conv2d(1, 16, 3), nn.GELU(), *blocks, nn.Flatten(), nn.Linear(288, 32), nn.GELU())
        self.digit = nn.Linear(32, 10)
        self.compare = nn.Linear(64, 2)

    def forward(self, images: Tensor) -> tuple[Tensor, Digits]:
        """Each digit is read from its own features."""
        first, second = self.read(images[:, :1]), self.read(images[:, 1:])
        no, yes = self.compare(torch.cat([first, second], dim=1)).unbind(dim=1)
        return yes - no, (self.digit(first), self.digit(second))


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "net1": lambda: ReferenceNet(shared=False, digits=False, batchnorm=False),
    "net2": lambda: ReferenceNet(shared=True, digits=False, batchnorm=False),
    "net3": lambda: ReferenceNet(shared=True, digits=True, batchnorm=False),
    "net4": lambda: ReferenceNet(shared=True, digits=True, batchnorm=True),
    "wsn": ReferenceJointNet,
}
PACKAGES: dict[str, Callable[[], nn.Module]] = {"gelunet": ReferenceGelunet}  # networks of examples/plugin


def train_reference(
    name: str, train: tuple[Tensor, Tensor, Tensor], test: tuple[Tensor, Tensor], lr: float, device: str = "cpu", one_batch: bool = False
) -> Iterator[float]:
    """Train one round on images [N, 2, 14, 14], targets [N] and digits [N, 2]; yields the test accuracy after every epoch, without end.

    one_batch: test all pairs at once, which a script does not do that asks for one answer after the other.
    """
    network = {**NETWORKS, **PACKAGES}[name]().to(device)
    optimizer = torch.optim.SGD(network.parameters(), lr=lr)
    images, target, digits = (tensor.to(device) for tensor in train)
    test_images, test_target = (tensor.to(device) for tensor in test)
    ask = test_at_once if one_batch else test_one_by_one
    while True:
        network.train()
        for start in range(0, len(images), 100):
            batch = slice(start, start + 100)
            comparison, read = network(images[batch])
            loss = F.binary_cross_entropy_with_logits(comparison, target[batch].float())
            if read is not None:
                loss = loss + sum(F.cross_entropy(logits, digits[batch, place]) for place, logits in enumerate(read))
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        network.eval()
        yield ask(network, test_images, test_target)


@torch.no_grad()
def test_one_by_one(network: nn.Module, images: Tensor, target: Tensor) -> float:
    """The fraction of right answers, asked pair by pair."""
    right = 0
    for place in range(len(images)):
        comparison, _ = network(images[place : place + 1])
        right += int((comparison.item() > 0) == bool(target[place]))
    return right / len(images)


@torch.no_grad()
def test_at_once(network: nn.Module, images: Tensor, target: Tensor) -> float:
    """The fraction of right answers, asked all at once."""
    comparison, _ = network(images)
    return float(((comparison > 0) == target.bool()).double().mean().item())
