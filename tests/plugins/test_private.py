"""The private parts of Hydra, OmegaConf and Optuna: what each must do for us, and that nothing outside digitcmp/plugins uses any."""

import ast
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

import optuna
import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import JobReturn, JobStatus
from omegaconf import DictConfig, OmegaConf
from omegaconf.base import Node
from optuna.distributions import CategoricalDistribution, FloatDistribution

from digitcmp.errors import RunError
from digitcmp.plugins.hydra_job import raise_quietly, view
from digitcmp.plugins.private import distribution_of, error_of, study_id_of, trial_id_of
from tests.conftest import ROOT

PACKAGES = ("hydra", "hydra_plugins", "omegaconf", "optuna")
# the documented way to leave a forked process; the identity of a tensor's memory; how often it was written into, of which torch's own
# documentation of in-place checks speaks
ALLOWED = ("os._exit", "untyped_storage()._cdata", "tensor._version")


PARTS: list[tuple[Callable[[], Any], str, str]] = [
    (optuna.create_study, "_study_id", "private.py"),
    (lambda: optuna.create_study().ask(), "_trial_id", "private.py"),
    (lambda: optuna.trial.create_trial(value=0.0), "_trial_id", "private.py"),
    (lambda: import_module("hydra_plugins.hydra_optuna_sweeper._impl"), "create_optuna_distribution_from_override", "private.py"),
    (lambda: import_module("hydra._internal.execution_policy"), "execution_whitelist", "hydra_job.py"),
    (lambda: import_module("hydra._internal.utils"), "get_args_parser", "options.py"),
    (lambda: import_module("hydra._internal.hydra").Hydra, "list_all_config_groups", "help.py"),
    (lambda: import_module("hydra._internal.core_plugins.basic_sweeper").BasicSweeper, "split_arguments", "sweeper.py"),
    (lambda: import_module("hydra._internal.core_plugins.basic_sweeper").BasicSweeper, "_parse_config", "sweeper.py"),
    (lambda: import_module("hydra._internal.config_repository").ConfigRepository, "load_config", "remembering.py"),
    (lambda: import_module("hydra._internal.config_loader_impl").ConfigLoaderImpl, "_compose_config_from_defaults_list", "recipes.py"),
    (JobReturn, "_return_value", "private.py, hydra_job.py and launcher.py"),
    (lambda: DictConfig({}), "_metadata", "hydra_job.py and merging.py"),
    (lambda: DictConfig({}), "_content", "hydra_job.py and merging.py"),
    (lambda: DictConfig({}), "_get_node", "hydra_job.py and merging.py"),
    (lambda: DictConfig({}), "_get_parent", "merging.py"),
    (lambda: DictConfig({}), "_set_parent", "merging.py"),
    (lambda: import_module("omegaconf._utils"), "split_key", "merging.py"),
]


@pytest.mark.parametrize(("make", "name", "user"), PARTS, ids=[name for _, name, _ in PARTS])
def test_a_private_part_is_there(make: Callable[[], Any], name: str, user: str) -> None:
    """Otherwise the message says which one is missing, and who needs it."""
    owner = make()
    assert hasattr(owner, name), f"{owner!r} has no {name} in this version; digitcmp/plugins/{user} needs it"


def test_optuna_study_id() -> None:
    """It is what the storage knows the study by."""
    storage = optuna.storages.InMemoryStorage()
    optuna.create_study(storage=storage)
    study = optuna.create_study(storage=storage, study_name="s")
    assert storage.get_study_name_from_id(study_id_of(study)) == "s", "Study._study_id is no id of Optuna's storages"


def test_optuna_trial_id() -> None:
    """It is what the storage knows the trial by, and differs from its number."""
    storage = optuna.storages.InMemoryStorage()
    optuna.create_study(storage=storage).ask()
    trial = optuna.create_study(storage=storage).ask()
    frozen = storage.get_trial(trial_id_of(trial))
    assert (frozen.number, trial_id_of(frozen)) == (trial.number, trial_id_of(trial)), "Trial._trial_id is no id of Optuna's storages"
    assert trial_id_of(trial) != trial.number


def test_hydra_optuna_distribution() -> None:
    """A space gives a distribution, a value its text, and a space without sense one of the errors that we expect."""
    parse = OverridesParser.create().parse_override
    changed = "hydra_optuna_sweeper._impl.create_optuna_distribution_from_override has changed"
    assert distribution_of(parse("a=interval(0,2)")) == FloatDistribution(0, 2), changed
    assert distribution_of(parse("a=choice(b,c)")) == CategoricalDistribution(("b", "c")), changed
    assert distribution_of(parse("a=b")) == "b", changed
    with pytest.raises((ValueError, AssertionError, NotImplementedError, TypeError)):
        distribution_of(parse("a=interval(1,0)"))


def test_hydra_job_return_keeps_its_error(capsys: pytest.CaptureFixture[str]) -> None:
    """In `_return_value`; the property raises it, and prints nothing of its own (it does without `raise_quietly`)."""
    raise_quietly()
    error = RunError("no")
    ended = JobReturn(status=JobStatus.FAILED, _return_value=error)
    assert error_of(ended) is error, "JobReturn keeps its error elsewhere than in _return_value"
    assert error_of(JobReturn(status=JobStatus.COMPLETED, _return_value=1.0)) is None
    with pytest.raises(RunError) as raised:
        _ = ended.return_value
    assert raised.value is error
    assert capsys.readouterr().err == ""
    ended = JobReturn(status=JobStatus.COMPLETED)
    ended.return_value = 0.5
    assert ended.return_value == 0.5, "JobReturn.return_value does not read _return_value"


def test_hydra_execution_whitelist() -> None:
    """A context manager that takes a list, and `reset`."""
    whitelist = import_module("hydra._internal.execution_policy").execution_whitelist
    with whitelist(["digitcmp"], reset=True):
        pass


def test_omegaconf_nodes_under_another_root() -> None:
    """A view has the flags of the whole, shares its nodes and resolves through it."""
    whole = OmegaConf.create({"a": {"b": "${c}"}, "c": 1}, flags={"readonly": True})
    part = view(whole, ["a"])
    changed = "DictConfig._metadata, _content or _get_node has changed"
    assert OmegaConf.is_readonly(part), changed
    assert list(part) == ["a"], changed
    assert isinstance(whole._get_node("a"), Node), changed
    assert part._get_node("a") is whole._get_node("a"), changed
    assert part.a.b == 1, changed


def is_private(name: str | None) -> bool:
    """Whether a name begins with one underscore; `_target_` and `__doc__` are not meant."""
    return name is not None and name.startswith("_") and not name.endswith("_")


def private_uses(tree: ast.AST) -> Iterator[str]:
    """What a module uses of others' private parts: attributes, keywords and imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and is_private(node.attr) and ast.unparse(node.value) not in ("self", "cls"):
            yield ast.unparse(node)
        elif isinstance(node, ast.keyword) and is_private(node.arg):
            yield f"{node.arg}="
        elif isinstance(node, ast.Import | ast.ImportFrom):
            module = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for path in (".".join([*module, alias.name]) for alias in node.names):
                if path.split(".")[0] in PACKAGES and any(map(is_private, path.split("."))):
                    yield path


def test_nothing_else_uses_private_parts() -> None:
    """Outside digitcmp/plugins."""
    modules = [path for path in (ROOT / "digitcmp").rglob("*.py") if "plugins" not in path.parts]
    uses = {
        f"{path.relative_to(ROOT)}: {use}"
        for path in modules
        for use in private_uses(ast.parse(path.read_text()))
        if not use.endswith(ALLOWED)
    }
    assert not uses, "move these to digitcmp/plugins, each with the public call that is missing"
    assert len(modules) > 50


def test_private_uses_are_found() -> None:
    """The search above is not blind."""
    text = """
import hydra._internal.utils
from hydra import _internal
from hydra_plugins.hydra_optuna_sweeper._impl import make
import torch._dynamo
def of(self, trial):
    return trial._trial_id, self._own, make()._x, JobReturn(_return_value=1), config._target_, trial.__class__
"""
    assert sorted(private_uses(ast.parse(text))) == [
        "_return_value=",
        "hydra._internal",
        "hydra._internal.utils",
        "hydra_plugins.hydra_optuna_sweeper._impl.make",
        "make()._x",
        "trial._trial_id",
    ]
