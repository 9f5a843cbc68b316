"""What code of others is given stays what it was, and rounds beside each other do not meet: looked at in training."""

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor

from digitcmp.config.allowed import ALLOWED
from digitcmp.config.registry import LOSSES, load
from digitcmp.data import transforms
from digitcmp.errors import ConfigError
from digitcmp.promises import LOOKED, OFTEN, check_apart, untouched
from digitcmp.train.losses import Term, checked
from tests.conftest import Ended
from tests.data.test_augment import STRONG

Cli = Callable[..., Ended]
WRITES = "it changes what it is given, in place"
APART = "what it gives a round depends on the rounds beside it"


def by_numpy(tensor: Tensor) -> Tensor:
    """What torch does not count."""
    tensor.detach().numpy()[...] *= 2
    return tensor


def by_data(tensor: Tensor) -> Tensor:
    """Nor this."""
    tensor.data.mul_(2)
    return tensor


WRITERS: dict[str, Callable[[Tensor], Tensor]] = {
    "operation": lambda tensor: tensor.mul_(2),
    "view": lambda tensor: tensor[:1].view(-1).add_(1),
    "detached": lambda tensor: tensor.detach().add_(1),
    "numpy": by_numpy,
    "data": by_data,
}


@pytest.mark.parametrize("kind", [torch.float32, torch.int64])
@pytest.mark.parametrize("name", WRITERS)
def test_writing_is_found(name: str, kind: torch.dtype) -> None:
    """Whichever of the tensors it is; reading is none, nor is a number that is none."""
    given = [torch.ones(2, 3, dtype=kind), torch.full((2, 3), torch.nan)]
    with untouched("part", *given, whole=True):
        assert (given[0] + 1).sum() > 0
    for place in range(2):
        tensors = [torch.ones(2, 3, dtype=kind), torch.ones(2, 3)]
        with pytest.raises(ConfigError, match=f"^part: {WRITES}"), untouched("part", *tensors, whole=True):
            WRITERS[name](tensors[place])
    with pytest.raises(KeyError), untouched("part", *given):  # what is raised in it is what is told
        raise KeyError


STACKED: dict[str, Callable[[Tensor], Tensor]] = {
    "mean": lambda e: e.square().mean().expand(len(e)),
    "added mean": lambda e: e.square().mean(dim=(1, 2, 3)) + 0.01 * e.mean(),
    "detached largest": lambda e: e.square().mean(dim=(1, 2, 3)) / e.detach().abs().max(),
    "the next one": lambda e: e.roll(1, 0).square().mean(dim=(1, 2, 3)),
    "how many": lambda e: e.square().sum(dim=(1, 2, 3)) / (e > 0).sum(),
    "sorted": lambda e: e.square().mean(dim=(1, 2, 3)).sort(descending=True).values,
}


def some(rounds: int) -> tuple[Tensor, Tensor]:
    """Embeddings and digits."""
    random = torch.Generator().manual_seed(2)
    return torch.randn(rounds, 12, 2, 5, generator=random), torch.randint(10, (rounds, 12, 2), generator=random)


@pytest.mark.parametrize("rounds", [2, 5])
@pytest.mark.parametrize("name", STACKED)
def test_rounds_that_meet_in_a_loss(name: str, rounds: int) -> None:
    """Refused in the first step of a stack, and by nothing but its numbers; a round alone meets nobody."""
    term = checked("mine", lambda embeddings, *_: STACKED[name](embeddings))
    assert term(*some(1), 1.0).shape == (1,)
    with pytest.raises(ConfigError, match=f"^loss.terms: mine: {APART}"):
        checked("mine", lambda embeddings, *_: STACKED[name](embeddings))(*some(rounds), 1.0)


@pytest.mark.parametrize("rounds", [1, 2, 7])
@pytest.mark.parametrize("name", [*LOSSES.own, "nothing", "not a number"])
def test_losses_that_keep_it(name: str, rounds: int) -> None:
    """All of ours, and some that have no number to compare; they are called once in most of the later steps."""
    own: dict[str, Term] = {"nothing": lambda e, *_: e.new_zeros(len(e)), "not a number": lambda e, *_: e.mean(dim=(1, 2, 3)) * torch.nan}
    term: Term = own.get(name) or load(LOSSES[name])
    calls: list[int] = []

    def counted(*given: object) -> Tensor:
        calls.append(1)
        return term(*given)  # type: ignore[arg-type]

    watched, given = checked("mine", counted), some(rounds)
    torch.testing.assert_close(watched(*given, 1.0), term(*given, 1.0), equal_nan=True)
    more = 1 + 2 + (LOOKED if rounds > 1 else 0)  # calls where it is looked at: the step's, twice the same, a round beside copies of itself
    for step in range(1, 2 * OFTEN + 1):
        before = len(calls)
        watched(*given, 1.0)
        assert len(calls) - before == (more if step < 4 or step % OFTEN == 0 else 1)


@pytest.mark.parametrize("name", STRONG)
def test_augmentations_that_keep_it(name: str) -> None:
    """All of ours; their images are those that they give without being watched."""
    images, keys = torch.randn(3, 20, 2, 14, 14), torch.tensor([5, 6, 7], dtype=torch.int32)
    own = partial(transforms.AUGMENTATIONS[name], **STRONG[name])
    calls: list[int] = []

    def counted(images: Tensor, keys: Tensor) -> Tensor:
        calls.append(len(images))
        return own(images, keys)

    watched = transforms.watched("part", counted)
    for _ in range(5):
        assert torch.equal(watched(images, keys), own(images, keys))
    assert len(calls) == 4 * (1 + 2 + LOOKED) + 1
    check_apart("part", own, images, keys)


IMAGES: dict[str, tuple[Callable[[Tensor, Tensor], object], str]] = {
    "writes": (lambda images, _: images.mul_(0.5), WRITES),
    "writes keys": (lambda images, keys: images * keys.add_(1).view(-1, 1, 1, 1, 1), WRITES),
    "writes by NumPy": (lambda images, _: by_numpy(images), WRITES),
    "meets": (lambda images, _: images - images.mean(), APART),
    "key of another": (lambda images, keys: images * keys.float().mean(), APART),
    "nothing": (lambda *_: None, "it gives a NoneType; it is to give images like those that come in, here [3, 20, 2, 14, 14]"),
    "shape": (lambda images, _: images[..., 1:], "it gives torch.float32 [3, 20, 2, 14, 13] on cpu; it is to give images like"),
    "kind": (lambda images, _: images.double(), "it gives torch.float64 [3, 20, 2, 14, 14] on cpu; it is to give images like"),
}


@pytest.mark.parametrize("name", IMAGES)
def test_augmentations_that_do_not(name: str) -> None:
    """Refused at the first call; one that writes later on, then."""
    function, words = IMAGES[name]
    images, keys = torch.randn(3, 20, 2, 14, 14), torch.tensor([5, 6, 7], dtype=torch.int32)
    with pytest.raises(ConfigError, match=f"^part: {re.escape(words)}"):
        transforms.watched("part", function)(images, keys)  # type: ignore[arg-type]
    calls: list[int] = []

    def later(images: Tensor, keys: Tensor) -> Tensor:
        del keys
        calls.append(1)
        return images.mul_(0.5) if len(calls) > 21 else images * 0.5

    watched = transforms.watched("part", later)
    for _ in range(5):
        watched(images, keys)
    assert len(calls) == 21
    with pytest.raises(ConfigError, match=WRITES):
        watched(images, keys)


FILE = """
from dataclasses import dataclass
from digitcmp.config.registry import Component
from digitcmp.config.schema import AugmentConfig, key

@dataclass
class Keys(AugmentConfig):
    kind: str = key("dim", help="darker")

def dim(images, keys):
    images *= 0.5
    return images

def renumber(embeddings, digits, margin):
    digits += 1
    return embeddings.square().mean(dim=(1, 2, 3))

augmentations = {"dim": Component(dim, Keys)}
losses = {
    "renumber": renumber,
    "meets": lambda embeddings, digits, margin: embeddings.square().mean().expand(len(embeddings)),
}
"""
COMMANDS = {
    "augment": (["augment=dim"], f"augment.kind=dim of my/plugins.py .*: {WRITES}"),
    "loss": (["loss.terms=[{loss: renumber}]"], f"loss.terms: renumber of my/plugins.py .*: {WRITES}"),
    "meets": (["loss.terms=[{loss: meets}]"], f"loss.terms: meets of my/plugins.py .*: {APART}"),
}


@pytest.mark.parametrize("engine", ["serial", "stacked"])
@pytest.mark.parametrize("name", COMMANDS)
def test_commands(name: str, engine: str, run_cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line, with the part and whose it is, in whichever engine; a round alone meets nobody."""
    monkeypatch.setenv(ALLOWED, "")
    monkeypatch.chdir(tmp_path)
    Path("my").mkdir()
    Path("my/plugins.py").write_text(FILE)
    overrides, words = COMMANDS[name]
    sizes = ["data.train_pairs=40", "data.test_pairs=40", "batch_size=20", "epochs=1", "rounds=2", "data=digits"]
    ended = run_cli("--config-dir", "my", "--allow-code", "my/plugins.py", *sizes, *overrides, f"engine={engine}", "hydra.run.dir=run")
    if (name, engine) == ("meets", "serial"):
        assert ended.code == 0
        return
    assert ended.code == 1
    assert re.fullmatch(f"digitcmp: {words}.*", ended.err.strip().splitlines()[-1])
    assert "Traceback" not in ended.err
