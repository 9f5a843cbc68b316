"""The options of `pytest --pyargs digitcmp.contracts`, and which tests they make: a pytest plugin."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from digitcmp.config.allowed import let_in
from digitcmp.config.composed import from_composed
from digitcmp.config.known import check_one_choice
from digitcmp.config.meant import of_one
from digitcmp.config.messages import one_line
from digitcmp.config.schema import Config
from digitcmp.contracts.network import aux_weight
from digitcmp.contracts.telling import Keeps, check
from digitcmp.errors import DigitcmpError
from digitcmp.files import shipped
from digitcmp.plugins import resolvers

KINDS = ("model", "data", "augment")
HERE = Path(__file__).parent


def pytest_addoption(parser: pytest.Parser) -> None:
    """A hook of pytest's."""
    group = parser.getgroup("digitcmp.contracts")
    for kind in KINDS:
        group.addoption(f"--{kind}", action="append", default=[], metavar="NAME", help=f"what is tested, as in {kind}=NAME")
    group.addoption("--config-dir", metavar="FOLDER", help="a folder with YAML files of your own")
    group.addoption("--allow-code", action="append", default=[], metavar="FILE", help="code of your own beside them")
    group.addoption("--with", action="append", default=[], dest="given", metavar="KEY=VALUE", help="as in data.root=FILE")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """A hook of pytest's: kinds of which none is asked for are left out."""
    kind = collection_path.stem.removeprefix("test_")
    return True if collection_path.parent == HERE and kind in KINDS and not getattr(config.option, kind) else None


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A hook of pytest's: every promise once for each name that is asked for."""
    if "asked" in metafunc.fixturenames:
        kind = metafunc.function.__name__.removeprefix("test_")
        names = getattr(metafunc.config.option, kind)
        metafunc.parametrize("asked", [f"{kind}={name}" for name in names], indirect=True, scope="module")


def pytest_configure(config: pytest.Config) -> None:
    """A hook of pytest's. Raises UsageError where nothing is asked for, and for code that is not let in."""
    if not any(getattr(config.option, kind) for kind in KINDS):
        raise pytest.UsageError("digitcmp.contracts: say what is to be tested, as in --model NAME (or --data, --augment)")
    try:
        let_in(config.option.allow_code, config.option.config_dir)
    except Exception as error:
        raise pytest.UsageError(one_line(error)) from error


@pytest.fixture(scope="module")
def asked(request: pytest.FixtureRequest) -> Config:
    """The configuration of what is tested."""
    option = request.config.option
    try:
        return configuration([request.param, *option.given], option.config_dir)
    except (DigitcmpError, HydraException, OmegaConfBaseException) as error:
        return pytest.fail(of_one(one_line(error, [request.param, *option.given])), pytrace=False)


@pytest.fixture
def keeps(request: pytest.FixtureRequest, asked: Config) -> Keeps:
    """Fails with a line where what is tested does not keep a promise."""
    return partial(check, config=asked, asked=request.node.callspec.params["asked"])


def configuration(overrides: Sequence[str], folder: str | None = None) -> Config:
    """The configuration of these overrides, with the auxiliary loss where there is a head for it. folder: of YAML files."""
    check_one_choice(overrides)
    resolvers.register()
    GlobalHydra.instance().clear()
    own = [] if folder is None else [f"hydra.searchpath=[file://{Path(folder).absolute()}]"]
    with initialize_config_dir(str(shipped("conf"))):
        tree = compose("config", overrides=[*overrides, *own])
    if not any(text.startswith("aux_weight=") for text in overrides):
        tree.aux_weight = aux_weight(tree.model)
    return from_composed(tree)
