"""On a GPU: the rounds of a processor up to rounding, whatever they are made of, one at a time and in a stack."""

import math
from dataclasses import replace

import pytest
import torch

from digitcmp.config.schema import Config
from digitcmp.train import graphs
from digitcmp.train import round as rounds
from digitcmp.train.optimizer import make_optimizer
from digitcmp.train.progress import OnCheckpoint
from digitcmp.train.results import Checkpoint, EpochRow, RoundResult
from digitcmp.train.round import train_rounds
from tests.conftest import MODELS, choices, compose_config, needs_aux

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
CPU, GPU = torch.device("cpu"), torch.device("cuda")
SEEDS = (3, 4, 5)
SMALL = (
    "data=digits",
    "epochs=3",
    "batch_size=20",
    "data.train_pairs=90",
    "data.test_pairs=60",
    "data.val_pairs=10",
    "data.shuffle=true",
    "optimizer=sgd",
)
ALGORITHMS = ("SGD", "Adam", "AdamW", "NAdam", "RAdam", "RMSprop", "Adagrad", "Adadelta", "Adamax")
LOSSES = {
    "mixup": ("loss.mixup=0.4",),
    "alternate": ("model=net3", "aux_weight=1", "loss.combine=alternate"),
    "balance": ("loss.balance=true", "model.comparator.outputs=2"),
    "l1": ("loss.l1=0.001",),
    "clip": ("optimizer.clip=0.5",),
    "ema": ("ema=0.9",),
    "smoothing": ("label_smoothing=0.1",),
    "stopping": ("stopping.patience=1",),
    "tta": ("tta_shift=1",),
    "ensemble": ("ensemble=2", "columns=[plain,moments]"),
    "last batch": ("batch_size=32",),
    "no last batch": ("batch_size=40",),
    "test batch": ("test_batch=7",),
    "test dropout": ("model=net3", "aux_weight=1", "model.dropout=0.3", "model.test_dropout=true"),
}
FIRST = "{channels: 16, kernel: 3, pool: 2}"
LAYERS = [
    *(f"{{channels: 8, kernel: 3, norm: {norm}}}" for norm in ("batch", "group, norm_groups: 4", "layer", "instance")),
    *(f"{{channels: 8, kernel: 3, activation: {name}}}" for name in ("leaky_relu", "elu", "gelu", "silu", "tanh", "none")),
    *(f"{{channels: 8, kernel: 2, pool: 2, pooling: {name}}}" for name in ("max", "avg", "adaptive_max", "adaptive_avg")),
    "{channels: 8, kernel: 3, pool: 2, pool_stride: 1}",
    "{channels: 8, kernel: 3, pool: [1, 3]}",
    "{channels: 8, kernel: 3, stride: 2}",
    "{channels: 8, kernel: 3, dilation: 2, norm: batch}",
    "{channels: 8, kernel: 3, groups: 4}",
    "{channels: 8, kernel: 3, padding: 2, norm: batch, affine: false}",
    "{channels: 8, kernel: 2, padding: 2}",
    "{channels: 70, kernel: [1, 3], bias: false}",
    "{channels: 8, kernel: 3, drop: 0.3, drop_channels: true}",
]


@pytest.fixture(autouse=True)
def exact(monkeypatch: pytest.MonkeyPatch) -> None:
    """As executors have it."""
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)


def trained(config: Config, device: torch.device, seeds: tuple[int, ...] = SEEDS) -> list[list[EpochRow]]:
    """The epochs of these rounds in one stack."""
    return [result.epochs for result in whole(config, device, seeds)]


def whole(
    config: Config, device: torch.device, seeds: tuple[int, ...] = SEEDS, start: tuple[Checkpoint, ...] = (),
    keep: OnCheckpoint = lambda _: None,
) -> list[RoundResult]:  # fmt: skip
    """These rounds in one stack."""
    found = train_rounds(config, seeds, device, lambda *_: True, start, keep)
    assert all(result is not None and not result.trace for result in found), [result and result.trace for result in found]
    return [result for result in found if result is not None]


def alike(config: Config, seeds: tuple[int, ...] = SEEDS, loss: float = 2e-2) -> None:
    """Assert that the rounds are the same on both, and that there is something to be compared: to four digits in the first epoch, and
    about the same in the others, as a training magnifies what differs in the last digit, most of all with batch norm."""
    for here, there in zip(trained(config, CPU, seeds), trained(config, GPU, seeds), strict=True):
        assert len(here) == len(there) > 0
        assert math.isclose(here[0].train_loss, there[0].train_loss, rel_tol=2e-4), (here[0], there[0])
        for one, two in zip(here, there, strict=True):
            assert math.isclose(one.train_loss, two.train_loss, rel_tol=loss), (one, two)
            assert (one.test_accuracy is None) == (two.test_accuracy is None)


@pytest.mark.parametrize("norm", ["false", "true"])
@pytest.mark.parametrize("model", MODELS)
def test_networks(model: str, norm: str) -> None:
    """All networks, with and without batch norm, with dropout wherever a layer is marked for it."""
    plain = compose_config(f"model={model}", f"aux_weight={int(needs_aux(model))}")
    aux = int(plain.model.digit_head.reads != "none" or bool(plain.model.aux_heads))
    layers = [*plain.model.digit_dense, *plain.model.joint_dense]
    drop = ["model.dropout=0.3"] if any([*(layer.drop for layer in layers), plain.model.digit_head.drop]) else []
    alike(compose_config(f"model={model}", f"aux_weight={aux}", f"model.batchnorm={norm}", *drop, *SMALL, "optimizer.lr=0.002"))


@pytest.mark.parametrize("seeds", [(3,), SEEDS])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_algorithms(algorithm: str, seeds: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """All optimisers; what a GPU cannot replay is trained all the same."""
    spec = rounds.train_spec
    monkeypatch.setattr(
        rounds, "train_spec", lambda config: replace(spec(config), optimizer=lambda own: make_optimizer(own, algorithm, 0.01, 0.02, {}))
    )
    alike(compose_config("model=net2", *SMALL), seeds)


@pytest.mark.parametrize("shape", choices("scheduler"))
def test_schedules(shape: str) -> None:
    """Replayed steps follow the learning rate."""
    alike(compose_config("model=wsn", "aux_weight=1", *SMALL, f"scheduler={shape}", "epochs=6", "optimizer.lr=0.1"))


@pytest.mark.parametrize("augment", choices("augment"))
def test_augmentations(augment: str) -> None:
    """Points and pixels."""
    alike(compose_config("model=net2", *SMALL, f"augment={augment}", "optimizer.lr=0.1"))


@pytest.mark.parametrize("name", LOSSES)
def test_options(name: str) -> None:
    """What is drawn for a step, averaged over steps, or looked at after an epoch."""
    alike(compose_config("model=net2", *SMALL, *LOSSES[name], "optimizer.lr=0.02"))


@pytest.mark.parametrize("layer", LAYERS)
def test_layers(layer: str) -> None:
    """Whatever a layer may be, behind a plain one."""
    alike(compose_config("model=net2", *SMALL, f"model.tower=[{FIRST}, {layer}]", "optimizer.lr=0.02"))


def test_replayed_steps_are_the_same_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Recorded or asked for one by one: the same figures to the last digit."""
    config = compose_config("model=net4", "aux_weight=1", *SMALL, "optimizer=adam", "model.dropout=0.2")
    replayed = trained(config, GPU)
    monkeypatch.setattr(graphs, "UNRECORDED", 10**9)
    assert [[row.train_loss for row in one] for one in trained(config, GPU)] == [[row.train_loss for row in one] for one in replayed]


def test_a_stack_goes_on_from_its_checkpoints() -> None:
    """The rows of an uninterrupted training, to the last digit."""
    config = compose_config("model=net4", "aux_weight=1", *SMALL, "optimizer=adam", "checkpoint_every=1", "ema=0.9")
    kept = list[dict[int, Checkpoint]]()
    through = whole(config, GPU, keep=kept.append)
    again = whole(config, GPU, start=tuple(kept[0][index] for index in range(len(SEEDS))))
    for one, two in zip(through, again, strict=True):
        assert [row.train_loss for row in one.epochs] == [row.train_loss for row in two.epochs]
        assert [row.test_accuracy for row in one.epochs] == [row.test_accuracy for row in two.epochs]
