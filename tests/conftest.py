"""What tests share: composing a configuration, running the command line, and where the real MNIST lies."""

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig

from digitcmp import cli
from digitcmp.config.allowed import ALLOWED, BEGUN_WITH
from digitcmp.config.composed import from_composed
from digitcmp.config.schema import Config
from digitcmp.entry import interrupts
from digitcmp.plugins import resolvers
from digitcmp.train.progress import OnEpoch
from digitcmp.train.results import RoundResult
from digitcmp.train.round import train_rounds

torch.manual_seed(0)
IMPORTED = torch.get_rng_state()
ROOT = Path(__file__).resolve().parents[1]
CONF, SWEEPS = ROOT / "conf", ROOT / "sweeps"


def choices(group: str) -> list[str]:
    """The choices of a group: the names of its YAML files."""
    return sorted(path.stem for path in (CONF / group).glob("*.yaml"))


MODELS = choices("model")
MNIST_ROOT = os.environ.get("DIGITCMP_DATA", "data")
MNIST_FILE = Path(MNIST_ROOT) / "MNIST" / "raw" / "train-images-idx3-ubyte"
needs_mnist = pytest.mark.skipif(not MNIST_FILE.is_file(), reason=f"needs the MNIST files in {MNIST_ROOT} (set DIGITCMP_DATA)")


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Two threads on busy cores are far slower than one."""
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def same_numbers() -> None:
    """A test that draws has the same numbers alone, in another order, and in every process."""
    torch.manual_seed(0)


def pytest_collection_finish() -> None:
    """What is drawn while modules are imported depends on which were imported before: no test may stand on it."""
    if not torch.equal(torch.get_rng_state(), IMPORTED):
        raise pytest.UsageError("a test module draws numbers where it is imported; give what draws a generator of its own")


def compose_tree(*overrides: str) -> DictConfig:
    """The YAML tree that the command line composes from these overrides, without Hydra's own part."""
    resolvers.register()
    with initialize_config_dir(str(CONF)):
        return compose("config", overrides=list(overrides))


def compose_config(*overrides: str) -> Config:
    """The typed configuration of these overrides."""
    return from_composed(compose_tree(*overrides))


@cache
def needs_aux(name: str) -> bool:
    """Whether nothing but the auxiliary loss trains some of what reads digits in this network."""
    model = compose_tree(f"model={name}").model
    return bool(model.comparator.detach or model.aux_heads)


@dataclass(frozen=True)
class Ended:
    """How a command line ended."""

    code: int
    out: str
    err: str


@pytest.fixture
def in_their_own_folders(monkeypatch: pytest.MonkeyPatch) -> None:
    """Named sweeps stay in their folders, of which the pages speak, though tests shorten them."""
    monkeypatch.setattr("digitcmp.plugins.sweeps.check_not_its_own", lambda *_: None)


@pytest.fixture
def run_cli(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> Callable[..., Ended]:
    """Run `digitcmp` in this process, in an empty folder, as the console script would."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(ALLOWED, os.environ.get(ALLOWED, ""))  # what a command lets in, it lets in for one test
    monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)

    def run(*arguments: str) -> Ended:
        monkeypatch.setattr(sys, "argv", ["digitcmp", *arguments])
        capfd.readouterr()
        try:
            cli.main()
            code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
        finally:
            GlobalHydra.instance().clear()
            os.environ.pop(BEGUN_WITH, None)  # with the process of the command
        out, err = capfd.readouterr()
        return Ended(code, out, err)

    return run


@pytest.fixture
def run_main(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., Ended]:
    """Run the `main` of one of the other commands in this process: run_main(main, *arguments)."""
    monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)

    def run(main: Callable[[], object], *arguments: str | Path) -> Ended:
        monkeypatch.setattr(sys, "argv", ["command", *map(str, arguments)])
        capfd.readouterr()
        code: object = 0
        try:
            main()
        except SystemExit as end:
            code = end.code or 0
        except KeyboardInterrupt as interrupt:
            code = interrupts.told(interrupt)  # as every command does
        assert isinstance(code, int)
        return Ended(code, *capfd.readouterr())

    return run


def train_round(config: Config, seed: int, device: torch.device, on_epoch: OnEpoch) -> RoundResult:
    """The result of one round, which is not to be stopped."""
    (result,) = train_rounds(config, [seed], device, on_epoch)
    assert result is not None
    return result
