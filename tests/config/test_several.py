"""Several values where one is taken: the command that is advised is taken as it stands."""

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from digitcmp.config.allowed import ALLOWED
from digitcmp.config.several import is_list
from tests.conftest import Ended

Cli = Callable[..., Ended]
INTERVAL, LOGARITHMIC = "optimizer.lr=interval(0.1,1)", "optimizer.lr=tag(log,interval(0.1,1))"
GIVEN = [
    ["hydra.run.dir=a,b"],
    ["-m", "hydra.run.dir=a,b", "seed=0,1"],
    ["hydra.run.dir=range(2)"],
    ["hydra.sweep.dir=a,b"],
    ["-m", "hydra.sweep.subdir=a,b", "seed=0,1"],
    ["hydra/launcher=digitcmp,basic", "seed=0,1"],
    ["hydra/sweeper=basic,optuna", "seed=0,1"],
    ["+hydra.sweeper.params.model=net1,net2"],
    ["-m", "+hydra.sweeper.params.model=net1,net2"],
    ["+hydra.sweeper.params.model='net1,net2'"],
    ["++hydra.sweeper.params.+experiment=net1,net2"],
    ["--run", "+sweeps=smoke"],
    ["-r", "seed=0,1"],
    ["--run", "model=[net1,net2]"],
    ["+sweeps=smoke,table1"],
    ["-m", "+sweeps=smoke,table1"],
    ["tags=a,b"],
    ["tags=a,b", "seed=0,1"],
    ["ensemble=2", "columns=plain,moments"],
    ["optimizer.betas=0.8,0.9"],
    ["~model=net1,net2"],
    [INTERVAL],
    ["-m", INTERVAL],
    [LOGARITHMIC, "data.train_pairs=200"],
    [INTERVAL, "hydra/sweeper=digitcmp_optuna"],
    ["dry_run=true,false"],
    ["hydra.run.dir=a,b", "tags=a,b", "seed=0,1"],
    ["--cfg", "job", "seed=0,1"],
    ["model=net1,"],
    ["optimizer.lr=0.1,0.2"],
    ["seed=0,1", "hydra.run.dir=a"],
    ["model=[net1,net2]", "hydra.run.dir='a b'"],
    ["-m", "seed=0,1", "++hydra.run.dir=a"],
    ["-m", "hydra.run.dir=a", "hydra.sweep.dir=b", "seed=0,1"],
    ["+sweeps=smoke", "hydra.run.dir=a"],
    ["hydra.sweep.dir=b", "hydra.run.dir=a"],
]


@pytest.mark.parametrize("given", GIVEN, ids=str)
def test_what_is_advised_works(run_cli: Cli, given: list[str]) -> None:
    """One line that quotes what was typed, and ends with a command, which says what will be trained."""
    follow(run_cli, given)


OWN = [["model=net1,net2"], ["+sweeps=smoke"], ["model=net2", "tags=a,b"], ["--cfg", "job", "seed=0,1"]]


@pytest.mark.parametrize("given", OWN, ids=str)
def test_code_of_ones_own_is_let_in_again(run_cli: Cli, given: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """By the command that is advised, too."""
    Path("my").mkdir()
    Path("my/plugins.py").write_text('losses = {"mine": lambda embeddings, digits, margin: embeddings.mean(dim=(1, 2, 3))}\n')
    own = ["--config-dir", "my", "--allow-code", "my/plugins.py", "loss.terms=[{loss: mine}]"]
    follow(run_cli, [*own, *given], lambda: monkeypatch.setenv(ALLOWED, ""))


def follow(run_cli: Cli, given: list[str], forget: Callable[[], None] = lambda: None) -> None:
    """Give a wrong command, and the one that is advised. forget: what is done between them."""
    ended = run_cli(*given)
    assert ended.code == 1
    assert len(ended.err.splitlines()) == 1
    assert any(ended.err.startswith(f"digitcmp: {argument}: ") for argument in given), ended.err
    found = re.search(r"(?:did you mean|as in|for a run each): python -m digitcmp (.*)\n", ended.err)
    assert found, ended.err
    advised = shlex.split(found[1])
    forget()
    more = [] if {"--cfg", "dry_run=true"} & {*advised} else ["dry_run=true"]
    followed = run_cli(*advised, *more)
    assert (followed.code, followed.err) == (0, "")
    assert "--multirun" not in advised or not any(word.lstrip("+").startswith("hydra.run.dir=") for word in advised)
    assert ("nothing was trained" in followed.out) or "--cfg" in given


def test_keys_that_take_lists() -> None:
    """At any depth, in choices and in layers, too."""
    for name in ("tags", "columns", "optimizer.betas", "optimizer.groups", "model.tower", "model.tower.0.order", "loss.terms"):
        assert is_list(name), name
    for name in ("seed", "model", "model.dropout", "optimizer.lr", "nonsense", "model.nonsense.lr", "callbacks"):
        assert not is_list(name), name
