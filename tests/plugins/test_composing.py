"""Jobs that are composed once and run lightly: the same as what Hydra itself composes and leaves behind."""

import gc
import json
import re
from collections import Counter
from collections.abc import Callable
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any, cast

import pytest
from hydra._internal.config_repository import ConfigRepository
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Sweep
from hydra.core.utils import JobReturn
from hydra.errors import HydraException
from hydra.types import RunMode
from hypothesis import given, settings, strategies
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from digitcmp import cli
from digitcmp.config.allowed import ALLOWED
from digitcmp.config.composed import typed
from digitcmp.plugins import launcher, remembering
from digitcmp.plugins.checking import SELDOM, collected_seldom
from digitcmp.plugins.composing import TemplateLoader
from digitcmp.report.build import make_report
from tests.conftest import Ended, choices
from tests.experiment.made import without_seconds

Cli = Callable[..., Ended]
KINDS = ("ref_type", "object_type", "key_type", "element_type", "resolver_cache")  # what a node knows of its type, and of its values
OWN = {  # files of a user's
    "recipe/refers.yaml": "# @package _global_\ncallbacks: {one: '${augment}', two: {of: '${data.root}'}}\n",
    "onto/it.yaml": "# @package _global_\ncallbacks: {one: {rotation: 3}}\n",
    "far/off.yaml": "# @package _global_\ndefaults: [{override /optimizer: sgd}, {/augment@callbacks.three: affine}, _self_]\n"
    "optimizer: {lr: 0.3}\n",
    "callbacks/near.yaml": "one: {of: '${..two}', two: '???'}\nlist: [1, {a: '${.b}', b: null}]\n",
    "hydra_too/all.yaml": "# @package _global_\nhydra: {job: {chdir: true}}\nseed: ???\nlabel_smoothing: ${aux_weight}\n",
}
VALUES = [
    "seed=3",
    "aux_weight=0.5",
    "+callbacks.four={a:[1]}",
    "optimizer.lr=0.1",
    "~callbacks",
    "data.root=${seed}",
    "rounds=x",
    "nothing=1",
]
TINY = ["epochs=1", "data.train_pairs=100", "data.test_pairs=100", "engine=serial", "report=false"]


class CaughtError(Exception):
    """Ends a sweep before anything is trained."""


def plainly(self: launcher.DigitcmpLauncher, job: list[str], read: bool = True) -> DictConfig:
    """What Hydra composes, with nothing remembered. read: whether files are read anew, too."""

    def compose(merge: Any, defaults: Any, repo: Any, files: Any, left_out: Any) -> Any:
        del repo, left_out
        return merge(list(defaults), files)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(remembering, "compose", compose)
        if read:
            patched.setattr(self.loader.loader, "repository", self.loader.loader.repository.files)
        return self.loader.loader.load_sweep_config(self.config, job)


@pytest.fixture
def composed_jobs(run_cli: Cli, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[list[tuple[DictConfig, DictConfig]]]]:
    """For each job of a command line: what our loader and what Hydra's loader compose, in two passes over the jobs."""

    def compose(*arguments: str) -> list[list[tuple[DictConfig, DictConfig]]]:
        found: list[list[tuple[DictConfig, DictConfig]]] = []

        def launch(self: launcher.DigitcmpLauncher, job_overrides: Any, initial_job_idx: int) -> Any:
            del initial_job_idx
            theirs = [plainly(self, list(job)) for job in job_overrides]
            found.extend(
                [(self.loader.compose(self.config, job), their) for job, their in zip(job_overrides, theirs, strict=True)] for _ in "12"
            )
            raise CaughtError

        monkeypatch.setattr(launcher.DigitcmpLauncher, "launch", launch)
        with pytest.raises(CaughtError):
            run_cli("--multirun", *arguments)
        return found

    return compose


def inside(node: Any) -> Any:
    """The kind of a node and of everything in it, in its order, with flags, types, and cached values."""
    about = node._metadata
    own = (type(node), {**(about.flags or {})}, about.optional, about.key, *(getattr(about, name, None) for name in KINDS))
    if not isinstance(node, DictConfig | ListConfig) or node._is_none() or node._is_missing() or node._is_interpolation():
        return own, node._value()
    return own, [inside(node._get_node(name)) for name in (range(len(node)) if isinstance(node, ListConfig) else node)]


def same(ours: DictConfig, theirs: DictConfig) -> None:
    """Fails where two trees differ in anything."""
    for one, other in ((OmegaConf.to_yaml(ours).splitlines(), OmegaConf.to_yaml(theirs).splitlines()), (inside(ours), inside(theirs))):
        assert first_difference(one, other) is None


def first_difference(one: Any, other: Any) -> Any:
    """Where two nested lists differ first, None where they don't; pytest needs minutes to show all of a tree."""
    if isinstance(one, list | tuple) and isinstance(other, list | tuple) and len(one) == len(other):
        return next((found for pair in zip(one, other, strict=True) if (found := first_difference(*pair))), None)
    return None if one == other else (one, other)


@pytest.mark.parametrize(
    "arguments",
    [
        ["seed=range(3)"],
        ["model=net1,net4", "seed=0,7", "optimizer=sgd", "optimizer.lr=0.1,0.2"],
        ["seed=3,1", "+experiment=net4", "hydra.sweep.dir=x", "hydra.job.chdir=false"],
        ["seed=1,2", "data.root=/data/${seed}", "hydra.sweep.subdir=${hydra.job.override_dirname}"],
        ["seed=1,2", "seed=5", "epochs=2"],
        ["++seed=1,2", "epochs=2"],
        ["rounds=1,2"],
        ["optimizer.lr=1e-3,3", "model=net2,wsn", "data.shuffle=yes,off"],
        ["model=wsn", "model.digit_dense.0.units=5,6", "data.root=null,x"],
        ["model=decoder", "data.target=le,gt", "aux_weight=1,2"],
        ["+sweeps=table1", "model.comparator.reads=features", "optimizer={lr:0.5}", "optimizer.lr=0.1,0.2"],
        ["seed=range(2)", "hydra.verbose=true"],
        ["+experiment=best,net1", "scheduler=constant,cosine", "augment=none"],
        ["model=net1,wsn", "hydra.searchpath=[pkg://digitcmp]", "hydra/job_logging=none"],
    ],
    ids=" ".join,
)
def test_copies_are_what_hydra_composes(composed_jobs: Callable[..., Any], arguments: list[str]) -> None:
    """The same text, values, flags and cached times, whether a job comes first or is a copy; jobs don't share anything."""
    for pairs in composed_jobs(*arguments):
        for ours, theirs in pairs:
            same(ours, theirs)
            for key in ("hydra.sweep.dir", "hydra.sweep.subdir", "hydra.run.dir", "data.root", "seed"):
                assert OmegaConf.select(ours, key) == OmegaConf.select(theirs, key)
            assert type(ours.seed) is type(theirs.seed)
        assert len({id(ours) for ours, _ in pairs}) == len(pairs)


def launched(run_cli: Cli, monkeypatch: pytest.MonkeyPatch, act: Callable[[launcher.DigitcmpLauncher], None], *arguments: str) -> None:
    """Do something in place of a sweep's jobs."""

    def launch(self: launcher.DigitcmpLauncher, job_overrides: Any, initial_job_idx: int) -> Any:
        del job_overrides, initial_job_idx
        act(self)
        raise CaughtError

    monkeypatch.setattr(launcher.DigitcmpLauncher, "launch", launch)
    with pytest.raises(CaughtError):
        run_cli("--multirun", *arguments)


def composed(self: launcher.DigitcmpLauncher, overrides: list[str]) -> tuple[Any, Any]:
    """What our loader and what Hydra's makes of a job: a tree, or why there is none."""
    found: list[Any] = []
    for compose in (partial(self.loader.compose, self.config), partial(plainly, self, read=False)):
        try:
            found.append(compose(overrides))
        except (HydraException, OmegaConfBaseException) as error:
            found.append((type(error), str(error)))
    return found[0], found[1]


def agree(ours: Any, theirs: Any) -> None:
    """The same tree, or the same error, of two that were `composed`."""
    if isinstance(ours, DictConfig) and isinstance(theirs, DictConfig):
        same(ours, theirs)
    else:
        assert ours == theirs


CHOICES = {group: choices(group) for group in ("model", "optimizer", "scheduler", "data", "augment", "experiment", "ladder", "callbacks")}
LADDER = CHOICES["ladder"]
CHOICES["ladder"] = [name for name in LADDER if name == LADDER[-1] or name[2] != "_"]  # a rung's files are among those of the next ones
ADDED = ("experiment", "ladder", "callbacks")  # those of which nothing is chosen from the beginning


def test_every_choice_after_others_is_what_hydra_composes(run_cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """All that is shipped, one job after the other, with what was merged for those before."""

    def act(self: launcher.DigitcmpLauncher) -> None:
        for group, names in CHOICES.items():
            for name in names:
                same(*composed(self, [f"{'+' if group in ADDED else ''}{group}={name}", "optimizer=sgd"]))

    launched(run_cli, monkeypatch, act)


def test_drawn_jobs_are_what_hydra_composes(run_cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Several choices and values in any order, also of files that refer to each other, are put elsewhere, or lack a value; and every
    error is Hydra's."""
    for name, text in OWN.items():
        (tmp_path / "own" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "own" / name).write_text(text)
    chosen = [f"{'+' if group in ADDED else ''}{group}={name}" for group, names in CHOICES.items() for name in names]
    own = [f"+{path.removesuffix('.yaml').replace('/', '=')}" for path in OWN]
    drawn = strategies.lists(
        strategies.one_of(*map(strategies.sampled_from, (chosen, own, VALUES))), max_size=5, unique_by=lambda text: text.partition("=")[0]
    )

    def act(self: launcher.DigitcmpLauncher) -> None:
        @settings(max_examples=25, deadline=None, database=None)
        @given(drawn)
        def check(overrides: list[str]) -> None:
            agree(*composed(self, overrides))

        for name in ("affine", "none", "shift"):  # a file is merged into what another one refers to, where it has such a key
            agree(*composed(self, ["+recipe=refers", "+onto=it", f"augment={name}"]))
        check()

    launched(run_cli, monkeypatch, act, "--config-dir", str(tmp_path / "own"))


def test_files_are_read_once(run_cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many jobs choose them; what comes first in all of them is merged once."""
    read: Counter[str] = Counter()
    real = ConfigRepository.load_config

    def counting(self: ConfigRepository, config_path: str) -> Any:
        read[config_path] += 1
        return real(self, config_path)

    def launch(self: launcher.DigitcmpLauncher, job_overrides: Any, initial_job_idx: int) -> Any:
        del initial_job_idx
        monkeypatch.setattr(ConfigRepository, "load_config", counting)
        for job in job_overrides:
            self.loader.compose(self.config, job)
        memory = cast(Any, self.loader.loader).repository
        raise CaughtError(len(memory.memory.first))

    monkeypatch.setattr(launcher.DigitcmpLauncher, "launch", launch)
    with pytest.raises(CaughtError, match=r"^1$"):
        run_cli("--multirun", "model=net1,wsn", "optimizer=adam,sgd")
    assert {"model/net1", "model/wsn", "optimizer/sgd", "config", "hydra/config"} <= set(read)
    assert set(read.values()) == {1}


def test_what_is_composed_anew() -> None:
    """Only a plain value of a key that nothing else is said about can be put into what was composed for another one."""

    class Groups:
        def list_groups(self, parent: str) -> list[str]:
            del parent
            return ["model"]

    keys = TemplateLoader(cast(Any, Groups())).plain_keys
    assert keys(["model=net1", "seed=12", "model.dropout=0.5", "hydra.sweep.subdir=x", "hydra.verbose=true"]) == {
        "seed",
        "model.dropout",
        "hydra.sweep.subdir",
    }
    for overrides in (["seed=1", "seed=2"], ["+seed=1"], ["~seed"], ["seed=1", "++seed=1"], ["a=[1]"], ["a=${b}"], ["a='b'"], ["a=b(1)"]):
        assert keys(overrides) == set(), overrides
    for other in ("optimizer={lr:1}", "+optimizer.lr.x=1", "~optimizer"):
        assert keys(["optimizer.lr=1", other]) == set()


def typed_jobs(sweep: DictConfig, loader: TemplateLoader, jobs: list[list[str]]) -> list[Any]:
    """The configuration of each job, or why it has none."""
    found: list[Any] = []
    for overrides in jobs:
        try:
            template = loader.template(sweep, overrides)
            found.append(typed(template if isinstance(template, DictConfig) else template.composed))
        except Exception as error:
            found.append((type(error), str(error)))
    return found


@pytest.mark.parametrize(
    ("choices", "values"),
    [
        (["model=net2,wsn"], ["aux_weight=0,-1,x", "optimizer.lr=0.1,0"]),
        (["model=decoder", "data=mnist"], ["data.target=le,gt,xx", "aux_weight=0,1"]),
        (["optimizer=adam,sgd"], ["optimizer.momentum=0.5,2", "seed=0,3,-1"]),
        (["model=wsn"], ["model.digit_dense.0.units=5,0,7", "model.weight_sharing=null,true"]),
        (["optimizer=adam"], ["optimizer.betas.0=0.5,2"]),
        (["model=net1"], ["data.folds=3,null,4", "data.train_pairs=600,1000"]),  # folds say how many pairs are held out
        (["model=lenet"], ["model.tower.0.norm=false,none,batch"]),  # spelt in two ways
        (["+callbacks=mlflow"], ["callbacks.mlflow.experiment=a,b,c", "seed=0,1"]),
    ],
)
def test_typed_copies_are_what_is_typed_by_itself(
    choices: list[str], values: list[str], run_cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every configuration, and every error, is what it is for a job that comes alone."""
    found: list[tuple[Any, Any]] = []

    def launch(self: launcher.DigitcmpLauncher, job_overrides: Any, initial_job_idx: int) -> Any:
        del job_overrides, initial_job_idx
        listed = [[f"{key}={value}" for value in text.split(",")] for key, _, text in (part.partition("=") for part in [*choices, *values])]
        jobs = [list(job) for job in product(*listed)]
        shared = typed_jobs(self.config, self.loader, jobs)
        alone = [typed_jobs(self.config, TemplateLoader(self.loader.loader), [job])[0] for job in jobs]
        found.extend(zip(shared, alone, strict=True))
        raise CaughtError

    monkeypatch.setattr(launcher.DigitcmpLauncher, "launch", launch)
    with pytest.raises(CaughtError):
        run_cli("--multirun", "hydra.sweep.dir=sweep")
    assert len(found) >= 2
    for shared, alone in found:
        assert shared == alone


def test_what_refers_to_the_job_is_that_of_each_job(run_cli: Cli, tmp_path: Path) -> None:
    """To its number, say."""
    sweep = ("data.seed=${hydra.job.num}", "optimizer.lr=0.1,0.2,0.3,0.4", f"hydra.sweep.dir={tmp_path}/sweep")
    assert run_cli("--multirun", *TINY, *sweep).code == 0
    found = [json.loads(path.read_text())["configuration"] for path in tmp_path.glob("sweep/*/run.json")]
    assert sorted((one["optimizer"]["lr"], one["data"]["seed"]) for one in found) == [(0.1, 0), (0.2, 1), (0.3, 2), (0.4, 3)]


DERIVED = """
from dataclasses import dataclass
import torch
from digitcmp.config.registry import Component
from digitcmp.config.schema import OptimizerConfig, key

@dataclass
class Keys(OptimizerConfig):
    algorithm: str = key("derived", help="x")
    lr: float = key(0.05, help="x", above=0)
    def __post_init__(self):
        self.weight_decay = self.lr / 10

class Derived(torch.optim.SGD):
    pass

optimizers = {"derived": Component(Derived, Keys)}
"""


def test_what_somebodys_own_keys_work_out_is_that_of_each_job(run_cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """In a dataclass that works something out when it is made."""
    monkeypatch.setenv(ALLOWED, "")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "plugins.py").write_text(DERIVED)
    sweep = ("optimizer=derived", "optimizer.lr=0.1,0.2,0.4", "hydra.sweep.dir=sweep")
    ended = run_cli("--multirun", "--allow-code", "plugins.py", *TINY, *sweep)
    assert ended.code == 0, ended.err
    found = [json.loads(path.read_text())["configuration"]["optimizer"] for path in tmp_path.glob("sweep/*/run.json")]
    assert sorted((one["lr"], one["weight_decay"]) for one in found) == [(0.1, 0.01), (0.2, 0.02), (0.4, 0.04)]


def test_templates_are_given_up_when_there_are_too_many(composed_jobs: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """A long search does not remember every trial."""
    monkeypatch.setattr("digitcmp.plugins.composing.KEPT", 2)
    kept: list[int] = []
    real = TemplateLoader.template

    def counting(self: TemplateLoader, *arguments: Any) -> Any:
        template = real(self, *arguments)
        kept.append(len(self.templates))
        return template

    monkeypatch.setattr(TemplateLoader, "template", counting)
    composed_jobs("seed=0,1", "model=net1,net2,net3,wosn")
    assert max(kept) == 2


def neutral(text: str) -> str:
    """A text without what two launchers may differ in: times, the launcher, the name of the sweep's folder."""
    text = re.sub(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(,\d+)?(\+00:00)?|\d+\.\d s\b|\d\d-\d\d-\d\d", "TIME", text)
    text = text.replace("digitcmp.plugins.launcher.DigitcmpLauncher", "LAUNCHER")
    text = text.replace("hydra._internal.core_plugins.basic_launcher.BasicLauncher", "LAUNCHER")
    return re.sub(r"hydra/launcher[:=] ?(basic|digitcmp)|sweep-(basic|digitcmp)", "CHOICE", text)


def without(about: dict[str, Any], *names: str) -> dict[str, Any]:
    """A dictionary without some of its entries."""
    return {name: value for name, value in about.items() if name not in names}


def test_jobs_leave_what_they_leave_with_the_basic_launcher(run_cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Files, logs, what callbacks are told and what jobs return: the same but for times, engine and launcher."""
    told: dict[str, list[Any]] = {"basic": [], "digitcmp": []}
    real = cli.Hooks.on_job_end

    def on_job_start(self: cli.Hooks, config: DictConfig, **more: Any) -> None:
        del self
        told[current].append((neutral(OmegaConf.to_yaml(config)), sorted(more)))

    def on_job_end(self: cli.Hooks, config: DictConfig, job_return: JobReturn, **more: Any) -> None:
        real(self, config, job_return, **more)
        parts = [neutral(OmegaConf.to_yaml(part)) for part in (config, job_return.cfg, job_return.hydra_cfg)]
        kinds = [OmegaConf.get_type(cast(DictConfig, job_return.hydra_cfg), "hydra"), OmegaConf.is_struct(job_return.cfg)]
        rest = (job_return.overrides, job_return.working_dir, job_return.task_name, job_return.status, job_return.return_value)
        told[current].append((parts, kinds, rest, config.hydra.mode == RunMode.MULTIRUN, config.hydra.job.num))

    monkeypatch.setattr(cli.Hooks, "on_job_start", on_job_start)
    monkeypatch.setattr(cli.Hooks, "on_job_end", on_job_end)
    for current in told:
        command = [
            "model=net1,net4",
            "seed=range(3)",
            f"hydra/launcher={current}",
            f"hydra.sweep.dir={tmp_path}/sweep-{current}",
        ]  # others get it whole
        assert run_cli("--multirun", *TINY, *command).code == 0
    # ours come in the order in which they end: configurations take turns
    jobs = {launcher: sorted(zip(all_[::2], all_[1::2], strict=True), key=lambda job: job[1][-1]) for launcher, all_ in told.items()}
    assert jobs["basic"] == jobs["digitcmp"]
    assert len(jobs["basic"]) == 6

    for log in tmp_path.rglob("records/*.jsonl"):  # named by time and chance
        log.rename(log.with_name("log.jsonl"))
    trees = [{path.relative_to(tmp_path / name) for path in (tmp_path / name).rglob("*")} for name in ("sweep-basic", "sweep-digitcmp")]
    assert trees[0] == trees[1] - {Path("planned.json"), Path(".lock")}  # ours knows its jobs from the beginning
    for path in sorted(trees[0]):
        one, other = tmp_path / "sweep-basic" / path, tmp_path / "sweep-digitcmp" / path
        if path.suffix == ".csv":
            assert without_seconds(one) == without_seconds(other)
        elif path.name == "run.json":
            pair = [json.loads(each.read_text()) for each in (one, other)]
            changing = ("started", "finished", "command", "jobs")
            assert without(pair[0], *changing) == without(pair[1], *changing)
            assert neutral(pair[0]["command"]) == neutral(pair[1]["command"])
        elif path.suffix in (".yaml", ".log"):
            assert neutral(one.read_text()) == neutral(other.read_text()), path
    for name in ("sweep-basic", "sweep-digitcmp"):
        make_report([tmp_path / name])
        assert len(list((tmp_path / name).glob("*/curves.png"))) == 6 + 1  # those of the report itself


@pytest.mark.parametrize("text", ["seed=3", "+a.b=[1,{c: 2}]", "lr=tag(log,interval(1,2))", "~x", "n=shuffle(range(3))", "model=net1,net2"])
def test_an_override_is_parsed_once_and_is_everybodys_own(text: str) -> None:
    """What is remembered is what Hydra makes of it; who changes his, changes nobody else's."""
    plain = remembering.parse(OverridesParser.create(), text, "override")
    first = OverridesParser.create().parse_override(text)
    assert first == plain
    if isinstance(first._value, list):
        first._value.append(4)
    elif isinstance(first._value, Sweep):
        first._value.tags.add("mine")
    first.package = first.config_loader = cast(Any, "elsewhere")
    assert OverridesParser.create().parse_overrides([text]) == [plain]


def test_jobs_are_composed_with_few_looks_for_cycles() -> None:
    """And whoever has set how often, or that never, has it as before."""
    before = gc.get_threshold()
    try:
        for own in ((700, 10, 10), (0, 10, 10), (200_000, 5, 5)):
            gc.set_threshold(*own)
            with collected_seldom():
                assert gc.get_threshold()[0] == (0 if own[0] == 0 else max(own[0], SELDOM))
            assert gc.get_threshold() == own
    finally:
        gc.set_threshold(*before)
