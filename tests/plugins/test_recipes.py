"""What a recipe says about a choice goes where its choice goes, with a line that says so."""

from collections.abc import Callable
from dataclasses import asdict

import pytest

from digitcmp.plugins import recipes
from tests.conftest import Ended, choices, compose_config

EXPERIMENTS = choices("experiment")


@pytest.mark.parametrize(
    ("overrides", "group", "left_out"),
    [
        (["+experiment=net1", "optimizer=adam"], "optimizer", "+experiment=net1 says for optimizer=sgd is left out (optimizer.lr)"),
        (["+experiment=best", "optimizer=adam"], "optimizer", "optimizer.momentum"),
        (["+experiment=best", "scheduler=cosine"], "scheduler", "(scheduler.warmup)"),
        (["+experiment=best", "augment=none"], "augment", "augment.rotation"),
        (["+experiment=best", "model=net4"], "model", "model.comparator"),
        (["+ladder=13_dropout", "optimizer=adamw"], "optimizer", "+ladder=06_momentum says for optimizer=sgd"),
    ],
    ids=str,
)
def test_values_of_another_choice_are_left_out(overrides: list[str], group: str, left_out: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The choice is what it is by itself; all else is the recipe's."""
    recipes.tell.cache_clear()
    mixed, alone, recipe = compose_config(*overrides), compose_config(overrides[1]), compose_config(overrides[0])
    assert asdict(mixed)[group] == asdict(alone)[group]
    assert {name: value for name, value in asdict(mixed).items() if name != group} == {
        name: value for name, value in asdict(recipe).items() if name != group
    }
    assert left_out in capsys.readouterr().err


def test_what_is_given_is_kept(capsys: pytest.CaptureFixture[str]) -> None:
    """On the command line; and by a recipe whose own choice is made, by itself or once more."""
    recipes.tell.cache_clear()
    assert compose_config("+experiment=net1", "optimizer=adam", "optimizer.lr=0.4").optimizer.lr == 0.4
    capsys.readouterr()
    assert compose_config("+experiment=net1", "optimizer=sgd").optimizer.lr == 0.4
    assert compose_config("+experiment=best", "data=digits").data.shuffle
    assert not capsys.readouterr().err


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_recipe_takes_another_optimiser(name: str) -> None:
    """Without an error about keys of the one that it had."""
    assert compose_config(f"+experiment={name}", "optimizer=adam").optimizer == compose_config("optimizer=adam").optimizer


def test_the_command_line_says_so_in_one_line(run_cli: Callable[..., Ended]) -> None:
    """On stderr, so that what --cfg prints is still YAML."""
    recipes.tell.cache_clear()
    ended = run_cli("+experiment=net1", "optimizer=adam", "--cfg", "job")
    assert ended.code == 0
    assert len(ended.err.splitlines()) == 1
    assert "left out" not in ended.out
