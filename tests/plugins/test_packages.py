"""What other packages offer: found, named in the help, and told in one line where they are broken."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from digitcmp.config.identity import choice, configuration_hash
from digitcmp.config.offered import packages
from digitcmp.config.taken import plugins_of
from tests.conftest import Ended, compose_config
from tests.plugins.packages import DIM, OFFER, install

Cli = Callable[..., Ended]
HALVED = "model.tower=[{channels: 4},{kind: halved, pool: 2}]"
BOTH = {"blocks/halved": "{0}:BLOCK", "augmentations/dim": "{0}:COMPONENT"}


def points(name: str, some: dict[str, str] | None = None) -> dict[str, str]:
    """Entry points of a package."""
    return {point: place.format(name) for point, place in (some or BOTH).items()}


@pytest.fixture
def dimmer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A package with a block, an augmentation and a network."""
    network = "# A network of halves.\ndefaults: [net2, _self_]\nname: half\n"
    install(monkeypatch, tmp_path / "site", "dimmer", points("dimmer"), files={"model/half.yaml": network})


@pytest.mark.usefixtures("dimmer")
def test_the_help_shows_what_packages_offer(run_cli: Cli) -> None:
    """With their names; nothing of them is imported for that, and keys are explained where they are."""
    sys.modules.pop("dimmer", None)
    ended = run_cli("--help")
    assert (ended.code, ended.err) == (0, "")
    assert "\n  dimmer       model=half augment=dim kind:halved\n" in ended.out
    assert "  model        half" in ended.out
    shown = run_cli("--help-choices").out
    assert "  half               A network of halves (dimmer 1.5)\n" in shown
    assert "  dim                (dimmer 1.5)\n" in shown
    assert "dimmer" not in sys.modules
    assert "with augment=dim also\n  augment.most=0.5        share that may be taken away\n" in run_cli("--help-keys").out


@pytest.mark.usefixtures("dimmer")
def test_a_configuration_with_parts_of_packages() -> None:
    """Composed, typed, checked; who takes part is known, and its hash needs nobody."""
    config = compose_config("model=half", HALVED, "augment=dim", "augment.most=0.25")
    assert config.augment.most == 0.25  # type: ignore[attr-defined]
    values = {"model": {"tower": [{"kind": "halved"}]}, "augment": {"kind": "dim", "most": 0.5}}
    assert plugins_of(values) == {"dimmer": "1.5"}
    assert plugins_of({"augment": {"kind": "shift"}, "model": {"tower": [{"kind": "conv"}]}}) == {}
    assert choice("augment", values["augment"]).__name__ == "Keys"  # type: ignore[union-attr]


def test_a_hash_is_the_same_without_the_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """So that runs can be read where nobody has installed it."""
    values = {"augment": {"kind": "dim", "most": 0.5}}
    without = configuration_hash(values)
    install(monkeypatch, tmp_path, "dimmer", points("dimmer"))
    assert [package.name for package in packages()] == ["dimmer"]
    assert configuration_hash(values) == without


WRONG = {  # what is wrong with its schema: what it is, and the words that tell
    "kind": ('kind: str = key("dimmed", help="x")', "its schema has kind=dimmed; it must be the name that it is offered under, dim"),
    "type": ('kind: int = key(3, help="x")', "its schema gives kind the type int; it is digitcmp's own key, of type str"),
    "odd": ('kind: str = key("dim", help="x"); odd: object = key(None, help="x")', "its schema Keys cannot be read"),
}


@pytest.mark.parametrize("fault", WRONG)
def test_a_schema_that_clashes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, run_cli: Cli, fault: str) -> None:
    """One line names the package; whoever does not choose it is not concerned."""
    keys, words = WRONG[fault]
    code = OFFER.format(below="AugmentConfig", keys=keys, name="dimmer")
    install(monkeypatch, tmp_path / "site", "dimmer", points("dimmer"), code)
    sys.modules.pop("dimmer", None)
    ended = run_cli("augment=dim", "--cfg", "job")
    assert (ended.code, ended.out, ended.err.count("\n")) == (1, "", 1)
    assert ended.err.startswith(f"digitcmp: digitcmp.augmentations dim of dimmer 1.5: {words}")
    assert [run_cli(*arguments).code for arguments in (["--help"], ["--help-keys"], ["augment=shift", "--cfg", "job"])] == [0, 0, 0]


def test_a_schema_of_another_kind(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, run_cli: Cli) -> None:
    """And what is no component at all."""
    code = OFFER.format(below="SchedulerConfig", keys='shape: str = key("dim", help="x")', name="dimmer")
    install(monkeypatch, tmp_path / "site", "dimmer", {"augmentations/dim": "dimmer:COMPONENT", "optimizers/dim": "dimmer:BLOCK"}, code)
    sys.modules.pop("dimmer", None)
    assert (
        "augmentations dim of dimmer 1.5: its schema Keys is no dataclass below AugmentConfig" in run_cli("augment=dim", "--cfg", "job").err
    )
    assert (
        "optimizers dim of dimmer 1.5 is no digitcmp.config.registry.Component but a Block" in run_cli("optimizer=dim", "--cfg", "job").err
    )


def test_a_package_that_cannot_be_imported(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, run_cli: Cli) -> None:
    """One line names it; help, and whatever does not need it, works."""
    install(monkeypatch, tmp_path / "site", "broken", points("broken"), "import nowhere\n", {"model/half.yaml": "defaults: [net2]\n"})
    for override in ("augment=dim", HALVED):
        ended = run_cli(override, "--cfg", "job") if override == "augment=dim" else run_cli(override, "dry_run=true")
        assert (ended.code, ended.out, ended.err.count("\n")) == (1, "", 1)
        assert "of broken 1.5 cannot be imported (ModuleNotFoundError: No module named 'nowhere')" in ended.err
    for arguments in (["--help"], ["--help-keys"], ["--help-choices"], ["model=half", "--cfg", "job"]):
        assert run_cli(*arguments).code == 0
    assert "augment.most" not in run_cli("--help-keys").out


def test_two_packages_of_one_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, run_cli: Cli) -> None:
    """What both offer is refused where it is used, and nowhere else."""
    for name in ("dimmer", "other"):
        install(monkeypatch, tmp_path / "site", name, points(name), files={"model/half.yaml": "defaults: [net2]\n"})
    for override, words in (
        ("augment=dim", "augment=dim: dimmer 1.5 and other 1.5 both have such a choice; uninstall one of them"),
        ("model=half", "model=half: dimmer 1.5 and other 1.5 both have such a choice; uninstall one of them"),
        (HALVED, "halved: dimmer 1.5 and other 1.5 both offer it (digitcmp.blocks); uninstall one of them"),
    ):
        ended = run_cli(override, "dry_run=true")
        assert (ended.code, ended.out, ended.err) == (1, "", f"digitcmp: {words}\n")
    assert run_cli("--help-keys").code == 0


def test_what_has_a_name_of_ours_is_left_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, run_cli: Cli) -> None:
    """With a line; ours is what it was."""
    offered = {"blocks/conv": "dimmer:BLOCK", "augmentations/shift": "dimmer:COMPONENT"}
    install(monkeypatch, tmp_path / "site", "dimmer", offered, files={"model/net1.yaml": "name: theirs\n"})
    ended = run_cli("model=net1", "augment=shift", "--cfg", "job")
    assert ended.code == 0
    assert "name: net1" in ended.out
    assert ended.err.splitlines() == [
        f"digitcmp: {left} of dimmer 1.5 is left out: digitcmp has one of this name"
        for left in ("digitcmp.blocks conv", "digitcmp.augmentations shift", "conf/model/net1.yaml")
    ]
    assert "dimmer" not in run_cli("--help").out


@pytest.mark.usefixtures("dimmer")
def test_an_unknown_block_says_whose_there_are(run_cli: Cli) -> None:
    """The nearest name, ours, and those of packages."""
    ended = run_cli("model.tower=[{kind: halfed}]", "dry_run=true")
    assert ended.err == (
        "digitcmp: model.tower[0].kind=halfed: there is no such block that reads images (did you mean halved?); "
        "there are conv, residual, inception, identity; dimmer 1.5 offers halved\n"
    )
    ended = run_cli("model.digit_dense=[{kind: halved}]", "dry_run=true")
    assert "model.digit_dense[0].kind=halved: this block of dimmer 1.5 reads images, and not features" in ended.err


def test_without_packages_nobody_offers_more(run_cli: Cli) -> None:
    """And the line says so."""
    assert "identity; no installed package offers others (digitcmp.blocks)" in run_cli("model.tower=[{kind: halfed}]", "dry_run=true").err


def test_a_part_that_is_not_where_it_should_be(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, run_cli: Cli) -> None:
    """The place is named."""
    code = OFFER.format(below="AugmentConfig", keys=DIM, name="dimmer").replace("parts:dim", "parts:gone")
    install(monkeypatch, tmp_path / "site", "dimmer", points("dimmer"), code)
    sys.modules.pop("dimmer", None)
    assert "dimmer.parts:gone cannot be imported (AttributeError" in run_cli("augment=dim", "dry_run=true").err


EVERY = """
from dataclasses import dataclass
from digitcmp.config.registry import Component
from digitcmp.config.schema import OptimizerConfig, SchedulerConfig, key

@dataclass
class Signs(OptimizerConfig):
    algorithm: str = key("signs", help="x")
    lr: float = key(0.001, above=0, help="the learning rate")
    slow: float = key(0.5, at_least=0, below=1, help="share of the last step")

@dataclass
class Halves(SchedulerConfig):
    shape: str = key("halves", help="x")
    left: float = key(0.5, above=0, help="of the learning rate, in the second half")

SIGNS = Component("every.trained:Signs", Signs)
HALVES = Component("every.trained:halves", Halves)
"""
TRAINED = """
import torch

class Signs(torch.optim.Optimizer):
    def __init__(self, params, lr, slow, weight_decay):
        super().__init__(params, {"lr": lr, "slow": slow, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for weights in group["params"]:
                kept = self.state[weights].setdefault("kept", torch.zeros_like(weights))
                kept.mul_(group["slow"]).add_(weights.grad)
                weights.sub_(group["lr"] * kept.sign())

def halves(progress, left):
    return 1.0 if progress < 0.5 else left

def centre(embeddings, digits, margin):
    return embeddings.square().mean(dim=(1, 2, 3))
"""


def test_optimizers_schedules_and_losses(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, run_cli: Cli) -> None:
    """Chosen, explained and trained as ours are, stacked as alone; on record with their package."""
    offered = {"optimizers/signs": "every:SIGNS", "schedules/halves": "every:HALVES", "losses/centre": "every.trained:centre"}
    install(monkeypatch, tmp_path / "site", "every", offered, EVERY)
    (tmp_path / "site" / "every" / "trained.py").write_text(TRAINED)
    chosen = ("optimizer=signs", "optimizer.slow=0.8", "scheduler=halves", "loss.terms=[{loss: centre, weight: 0.5}]")
    assert "loss.terms:centre" in run_cli("--help").out
    assert "optimizer.slow=0.8" in run_cli("--help-keys", "optimizer=signs", "optimizer.slow=0.8").out
    tiny = ("epochs=2", "data.train_pairs=40", "data.test_pairs=40", "batch_size=20", "rounds=2", "device=cpu", "checkpoint_every=1")
    losses = []
    for engine in ("serial", "stacked"):
        ended = run_cli(*chosen, *tiny, f"engine={engine}", f"hydra.run.dir={engine}")
        assert ended.code == 0, ended.err
        losses.append([float(line.split(",")[3]) for line in Path(engine, "rounds.csv").read_text().splitlines()[1:]])
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)
    assert json.loads(Path("serial/run.json").read_text())["plugins"] == {"every": "1.5"}
    ended = run_cli("loss.terms=[{loss: center}]", "dry_run=true")
    assert "there is no such loss (did you mean centre?); there are contrastive, triplet; every 1.5 offers centre" in ended.err
