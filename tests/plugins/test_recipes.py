"""What a recipe says about a choice goes where its choice goes, with a line that says so."""

from collections.abc import Callable
from dataclasses import asdict
from functools import cache
from pathlib import Path

import pytest
from omegaconf import DictConfig, OmegaConf

from digitcmp.plugins import recipes
from tests.conftest import CONF, Ended, choices, compose_config, compose_tree

RECIPES = [
    f"{group}={path.relative_to(CONF / group).with_suffix('')}"
    for group in ("experiment", "ladder")
    for path in sorted((CONF / group).rglob("*.yaml"))
]
ALONE = cache(compose_tree)  # choices by themselves


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


def part(tree: DictConfig, group: str) -> object:
    """What was composed of a group, as it stands there."""
    return OmegaConf.to_container(tree[group], resolve=False)


@pytest.mark.parametrize("recipe", RECIPES)
def test_nothing_of_a_recipe_outlives_its_choice(recipe: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Every recipe with every group chosen otherwise, also where its network is its own (`override /model: null`): what is composed is
    the choice as it is by itself, and a line says so where the recipe has said something."""
    recipes.tell.cache_clear()
    files = built_on(recipe)
    others = {group: next(one for one in choices(group) if one not in chosen_in(files, group)) for group in recipes.GROUPS}
    mixed = compose_tree(f"+{recipe}", *(f"{group}={choice}" for group, choice in others.items()))
    told = capsys.readouterr().err
    for group, choice in others.items():
        assert part(mixed, group) == part(ALONE(f"{group}={choice}"), group), choice
        assert (f"{group}={choice}: what +" in told) == any(group in file for file in files)


def built_on(recipe: str) -> list[DictConfig]:
    """The file of a recipe, and those that it is built on."""
    group, _, name = recipe.partition("=")
    found = OmegaConf.load(CONF / group / f"{name}.yaml")
    assert isinstance(found, DictConfig)
    bases = [one.split("@")[0] for one in found.get("defaults", []) if isinstance(one, str) and one != "_self_"]
    below = [one.strip("/").replace("/", "=", 1) if one.startswith("/") else f"{group}={Path(name).parent / one}" for one in bases]
    return [found, *(file for one in below for file in built_on(one))]


def chosen_in(files: list[DictConfig], group: str) -> list[str]:
    """The choices of a group that these files make."""
    key = f"override /{group}"
    return [entry[key] for file in files for entry in file.get("defaults", []) if isinstance(entry, DictConfig) and key in entry]


MINE = {
    "adam": "defaults: [/experiment/net1, override /optimizer: adam]\noptimizer: {lr: 0.05}\n",
    "more": "defaults: [adam, _self_]\noptimizer: {weight_decay: 0.5}\n",  # chooses nothing: of what adam has chosen
    "fast": "defaults: [/experiment/net1, override /optimizer: adam, _self_]\n",  # has not the learning rate of SGD
    "faster": "defaults: [fast, override /scheduler: cosine, _self_]\noptimizer: {weight_decay: 0.1}\n",
    "best_adam": "defaults: [/experiment/best, override /optimizer: adam, override /model: wsn]\n",
    "values": "optimizer: {lr: 0.7}\n",  # of whatever is chosen
    "wide": "defaults: [/experiment/course/mlp, override /model: wsn]\nmodel: {dropout: 0.3}\n",
}


@pytest.mark.parametrize(
    ("overrides", "key", "value", "left_out"),
    [
        (["+experiment=adam"], "optimizer.lr", 0.05, []),
        (["+experiment=adam", "optimizer=sgd"], "optimizer.lr", 0.4, ["adam"]),
        (["+experiment=adam", "optimizer=adamw"], "optimizer.lr", 0.001, ["net1", "adam"]),
        (["+experiment=more"], "optimizer.weight_decay", 0.5, []),
        (["+experiment=more", "optimizer=sgd"], "optimizer.weight_decay", 0.0, ["adam", "more"]),
        (["+experiment=more", "optimizer=sgd"], "optimizer.lr", 0.4, ["adam", "more"]),
        (["+experiment=fast"], "optimizer.lr", 0.001, ["net1"]),
        (["+experiment=fast", "optimizer=adam"], "optimizer.lr", 0.001, ["net1"]),
        (["+experiment=fast", "optimizer=sgd"], "optimizer.lr", 0.4, []),
        (["+experiment=fast", "optimizer.lr=0.3"], "optimizer.lr", 0.3, ["net1"]),
        (["+experiment=faster"], "optimizer.weight_decay", 0.1, ["net1"]),
        (["+experiment=faster", "optimizer=sgd"], "optimizer.weight_decay", 0.0, ["faster"]),
        (["+experiment=best_adam"], "optimizer.lr", 0.001, ["best"]),
        (["+experiment=best_adam"], "model.dropout", 0.3, ["best"]),
        (["+experiment=values", "optimizer=sgd"], "optimizer.lr", 0.7, []),
        (["+experiment=wide"], "model.joint", False, ["course/mlp"]),
        (["+experiment=wide"], "model.dropout", 0.3, ["course/mlp"]),
        (["+experiment=wide", "model=net1"], "model.dropout", 0.0, ["course/mlp", "wide"]),
    ],
    ids=str,
)
def test_recipes_that_build_on_others(
    run_cli: Callable[..., Ended], tmp_path: Path, overrides: list[str], key: str, value: object, left_out: list[str]
) -> None:
    """The values of each belong to its own choice, or, where it makes none, to the one that stands."""
    (tmp_path / "mc" / "experiment").mkdir(parents=True)
    for name, text in MINE.items():
        (tmp_path / "mc" / "experiment" / f"{name}.yaml").write_text(f"# @package _global_\n{text}")
    recipes.tell.cache_clear()
    ended = run_cli("--config-dir", "mc", *overrides, "--cfg", "job")
    assert ended.code == 0, ended.err
    assert OmegaConf.select(OmegaConf.create(ended.out), key) == value
    assert [line.partition("what +experiment=")[2].split()[0] for line in ended.err.splitlines()] == left_out


def test_the_command_line_says_so_in_one_line(run_cli: Callable[..., Ended]) -> None:
    """On stderr, so that what --cfg prints is still YAML."""
    recipes.tell.cache_clear()
    ended = run_cli("+experiment=net1", "optimizer=adam", "--cfg", "job")
    assert ended.code == 0
    assert len(ended.err.splitlines()) == 1
    assert "left out" not in ended.out
