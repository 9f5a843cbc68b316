"""Every YAML file composes and trains a tiny round; the schema, its ranges and the published recipes."""

import re
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from omegaconf import OmegaConf

from digitcmp.config import sizes
from digitcmp.config.composed import from_composed
from digitcmp.config.identity import configuration, flat
from digitcmp.config.messages import known_keys
from digitcmp.config.schema import GROUP_SCHEMAS, Config
from tests.conftest import CONF, MODELS, SWEEPS, Ended, choices, compose_config, compose_tree, needs_aux, train_round
from tests.data.made import make

TINY = ["epochs=1", "batch_size=20", "data.train_pairs=40", "data.test_pairs=40"]
GROUPS = ["model", "optimizer", "scheduler", "data", "augment", "callbacks", "experiment", "ladder"]

# lr, epochs, aux_weight, comparator_lr: the published recipes
RECIPES = {
    "net1": (0.4, 60, 0.0, None),
    "net2": (0.4, 60, 0.0, None),
    "net3": (0.4, 60, 1.0, None),
    "net4": (0.4, 60, 1.0, None),
    "net4_published": (0.4, 60, 1.0, None),
    "wosn": (0.55, 25, 0.0, None),
    "wsn": (0.55, 25, 0.5, None),
    "wsn_no_aux": (0.55, 25, 0.0, None),
    "wosn_published": (0.55, 25, 0.0, None),
    "wsn_published": (0.55, 25, 0.5, None),
    "splitnet": (0.1, 25, 1.0, 0.3),
    "splitnet_published": (0.1, 25, 1.0, 0.3),
    "condensed/wosn": (0.55, 25, 0.0, None),
    "condensed/wsn": (0.55, 25, 0.0, None),
    "condensed/wsn_aux": (0.55, 25, 0.5, None),
    "condensed/splitnet_tt_ft": (0.1, 25, 1.0, 0.3),
    "condensed/splitnet_ft_ff": (0.1, 25, 1.0, 0.3),
    "condensed/splitnet_ft_ft": (0.1, 25, 1.0, 0.3),
    "simplecnn": (0.1, 25, 0.0, None),
    "wsmodel": (0.1, 25, 0.0, None),
    "wsmodel1": (0.1, 25, 0.0, None),
    "auxmodel": (0.1, 25, 0.5, None),
    "auxmodel1": (0.1, 25, 0.5, None),
    "simplecnn_slow": (0.005, 25, 0.0, None),
    "auxmodel_slow": (0.005, 25, 2.0, None),
}


# rungs of the ladder whose one change shows in several groups of keys
ONE_THING = {
    "03_auxiliary_loss": [{"aux_weight", "model"}],  # a head and its loss
    "07_one_cycle": [{"epochs", "scheduler"}],  # a schedule and its length
    "12_depth": [{"model", "test_every"}],  # a longer test, and how often it is made
    "21_longer": [{"epochs", "test_every"}],
}


def test_every_group_is_covered() -> None:
    """A new group of YAML files must join the contract; conf/hydra holds choices for Hydra's own groups."""
    assert sorted(path.name for path in CONF.iterdir() if path.is_dir() and path.name != "hydra") == sorted(GROUPS)


def check_tiny_round(config: Config) -> None:
    """The configuration trains, and its figures are fractions."""
    result = train_round(config, config.seed, torch.device("cpu"), lambda *_: True)
    assert (result.row.status, result.row.error) == ("done", "")
    assert result.row.test_accuracy is not None
    assert 0 <= result.row.test_accuracy <= 1
    assert len(result.epochs) == config.epochs


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("option", ["", "model.batchnorm=true", "model.dropout=0.3", "model.weight_sharing=false"])
def test_every_model_trains_with_every_option(name: str, option: str) -> None:
    """Batch norm and dropout on every network, weight sharing off on every one that has any."""
    if (
        option.startswith("model.weight_sharing")
        and compose_config(f"model={name}", "aux_weight=1" if needs_aux(name) else "seed=0").model.joint
    ):
        pytest.skip(f"{name} has one joint tower: no weights to share")
    if option.startswith("model.weight_sharing") and (name == "own_heads"):
        pytest.skip(f"{name} has digits that share a tower")
    aux = f"aux_weight={int(needs_aux(name))}"
    check_tiny_round(compose_config(f"model={name}", aux, *TINY, *filter(None, [option])))


@pytest.mark.parametrize("group", ["optimizer", "scheduler", "augment"])
def test_every_choice_trains(group: str) -> None:
    """Every optimiser, scheduler and augmentation file."""
    for name in choices(group):
        check_tiny_round(compose_config(f"{group}={name}", *TINY, "data.val_pairs=10", "batch_size=15"))


@pytest.mark.parametrize("name", choices("data"))
def test_every_data_file_trains(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every data file, with validation pairs, shuffling and the other target too."""
    root, _ = make(name, tmp_path, monkeypatch)
    pairs = ["data.train_pairs=40", "data.test_pairs=30", "data.val_pairs=10", "batch_size=15"]
    where = [f"data={name}", *([] if root is None else [f"data.root={root}"])]
    check_tiny_round(compose_config(*where, *TINY, *pairs, "data.shuffle=true", "data.target=gt"))


OWN = ("best", "best_small", "decoder", "wsn_batchnorm")
CHAINS = ("tower", "digit_dense", "joint_dense")
CLASSIFY_DROPS = {
    "tower[1].drop",
    "digit_dense[0].drop",
    "digit_head.drop_logits",
}  # in front of its dense layer, behind it, on its outputs


QUIRKS = {"net4_published": 50, "wosn_published": 100, "wsn_published": 100, "splitnet_published": 100}  # pairs tested at a time


@pytest.mark.parametrize(
    "name", sorted({*choices("experiment"), *(f"condensed/{name}" for name in choices("experiment/condensed"))} - {*OWN})
)
def test_every_experiment_is_the_published_recipe(name: str) -> None:
    """Network, learning rates, epochs and auxiliary weight as published, plain SGD on MNIST; and it trains (on digits)."""
    config = compose_config(f"+experiment={name}")
    lr, epochs, aux_weight, comparator_lr = RECIPES[name]
    expected = {"algorithm": "SGD", "lr": lr, "comparator_lr": comparator_lr, "weight_decay": 0.0, "momentum": 0.0, "nesterov": False}
    expected |= {"clip": None, "groups": []}
    assert asdict(config.optimizer) == expected
    assert (config.epochs, config.aux_weight, config.batch_size) == (epochs, aux_weight, 100)
    assert (config.data.source, config.data.shuffle, config.scheduler.shape) == ("mnist", False, "constant")
    assert config.model.name == name.removesuffix("_no_aux").removesuffix("_slow").removesuffix("_published").removeprefix("condensed/")
    batch = 100 if name.startswith("condensed/") else QUIRKS.get(name)
    assert (config.test_batch, config.model.batch_statistics) == (batch, batch is not None)
    of_seed_001 = batch == 100
    assert (config.model.test_dropout, config.model.comparator.relu, config.data.normalize_test) == (
        of_seed_001,
        of_seed_001,
        not of_seed_001,
    )
    check_tiny_round(compose_config(f"+experiment={name}", "data=digits", *TINY, *(["test_batch=20"] if batch else [])))


@pytest.mark.parametrize(
    ("name", "marks"),
    [
        ("wosn", {"joint_dense[0].norm", "joint_dense[1].norm"}),
        ("wsn", {"digit_dense[0].norm", "digit_head.norm"}),
        ("wsn_aux", {"digit_dense[0].norm", "digit_head.norm"}),
        ("splitnet_tt_ft", {"tower[0].norm", "tower[1].norm", *CLASSIFY_DROPS, "comparator.drop_logits"}),
        ("splitnet_ft_ff", CLASSIFY_DROPS),
        ("splitnet_ft_ft", {*CLASSIFY_DROPS, "comparator.drop_logits"}),
    ],
)
def test_the_networks_of_the_one_run_script(name: str, marks: set[str]) -> None:
    """Project 001's JointNets have batch norm; (batch norm, dropout) of ClassifyNet and CompareNet are TT/FT, FT/FF, FT/FT."""
    model = compose_config(f"+experiment=condensed/{name}").model
    chains = {f"{chain}[{number}]": layer for chain in CHAINS for number, layer in enumerate(getattr(model, chain))}
    parts = {**chains, "digit_head": model.digit_head, "comparator": model.comparator}
    on = {"norm": model.batchnorm, "drop": model.dropout == 0.5, "drop_logits": model.dropout == 0.5}
    assert {f"{part}.{key}" for part, layer in parts.items() for key in on if on[key] and getattr(layer, key, False) is True} == marks


@pytest.mark.parametrize("name", OWN)
def test_own_experiments_train(name: str) -> None:
    """With all that is averaged in their tests."""
    check_tiny_round(compose_config(f"+experiment={name}", "data=digits", *TINY))


COURSE = choices("experiment/course")


@pytest.mark.parametrize("name", COURSE)
def test_the_course_recipes_train_and_say_their_size(name: str) -> None:
    """Each is one file of at most 25 lines whose comment says how many parameters its network has."""
    text = (CONF / "experiment" / "course" / f"{name}.yaml").read_text()
    config = compose_config(f"+experiment=course/{name}")
    assert re.findall(r"([\d,]+) parameters", text) == [f"{sizes.parameters(config.model):,}"]
    assert (config.model.name, config.epochs, config.data.source) == (f"course_{name}", 25, "mnist")
    assert len(text.splitlines()) <= 25
    small = ["batch_size=15", "data.val_pairs=10"] if config.data.val_pairs else []
    check_tiny_round(compose_config(f"+experiment=course/{name}", "data=digits", *TINY, *small))


def test_the_course_sweep_has_every_recipe() -> None:
    """In some order."""
    swept = yaml.safe_load((SWEEPS / "course.yaml").read_text())["hydra"]["sweeper"]["params"]["+experiment"]
    assert sorted(swept.split(",")) == [f"course/{name}" for name in COURSE]


def leaves(name: str) -> dict[str, Any]:
    """The configuration of a rung of the ladder, under dotted names."""
    return flat(configuration(compose_config(f"+ladder={name}")))


def test_the_ladder_leads_from_the_published_network_to_the_best_recipe() -> None:
    """Its ends are the two experiments; its rungs count without a gap."""
    first, *_, last = [name for name in choices("ladder") if name[2] == "_"]
    assert leaves(first) == flat(configuration(compose_config("+experiment=net1")))
    assert leaves(last) == flat(configuration(compose_config("+experiment=best")))
    assert sorted({int(name[:2]) for name in choices("ladder")}) == list(range(1, int(last[:2]) + 1))
    sweep = yaml.safe_load((SWEEPS / "ladder.yaml").read_text())["hydra"]["sweeper"]["params"]["+ladder"]
    assert [name.strip() for name in sweep.split(",")] == choices("ladder")


@pytest.mark.parametrize("name", choices("ladder")[1:])
def test_every_rung_changes_one_thing(name: str) -> None:
    """Whatever differs from the rung below (for a side branch, from its own) belongs to one group of keys; and it trains."""
    plain = [other for other in choices("ladder") if other[2] == "_"]
    before = next(other for other in plain if other[:2] == name[:2]) if name[2] != "_" else plain[plain.index(name) - 1]
    old, new = leaves(before), leaves(name)
    changed = {key.split(".")[0] for key in {*old, *new} if old.get(key) != new.get(key)}
    assert changed in ONE_THING.get(name, [{group} for group in changed])
    check_tiny_round(compose_config(f"+ladder={name}", "data=digits", *TINY))


@pytest.mark.parametrize("path", sorted(SWEEPS.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_sweep_runs(path: Path, run_cli: Callable[..., Ended], tmp_path: Path) -> None:
    """Every sweep starts with the command that runs it and what it shows; its jobs train (a tiny round on digits)."""
    lines = path.read_text().splitlines()
    assert lines[2] == f"# python -m digitcmp --multirun +sweeps={path.stem}"
    assert lines[3].startswith("# ")
    assert yaml.safe_load(path.read_text())["hydra"]["sweep"]["dir"] == f"outputs/{path.stem}"
    short = ["data.val_pairs=10", "hydra.sweeper.n_trials=2", "hydra.sweeper.pruner=none", "hydra.sweeper.confirm=1"]
    short += ["hydra.sweeper.finalists=2", "hydra.sweeper.finalist_rounds=1"]
    options = {"condensed": ["test_batch=20"], "course": ["batch_size=15", "data.val_pairs=10"]}.get(path.stem, [])
    options = short if path.stem.startswith("search_") else options
    ended = run_cli("--multirun", f"+sweeps={path.stem}", "data=digits", *TINY, "seed=0", "rounds=1", "report=false", *options)
    assert ended.code == 0, ended.err
    # changed as it is, it has a folder of its own
    assert list((tmp_path / "outputs").glob(f"{path.stem}-*/*/rounds.csv"))


def test_values_survive_composition() -> None:
    """What is typed on the command line arrives, with its type."""
    config = compose_config("aux_weight=1", "model=wsn", "optimizer=sgd", "optimizer.momentum=1e-1", "seed=0", "workers=null")
    assert isinstance(config.aux_weight, float)
    assert (config.aux_weight, config.optimizer.__class__.__name__, config.workers) == (1.0, "Sgd", None)


def test_seeds_count_from_seed() -> None:
    """rounds=3 seed=5 means the seeds 5, 6, 7."""
    assert compose_config("seed=5", "rounds=3").seeds == [5, 6, 7]


def test_known_keys_are_those_that_compose() -> None:
    """The keys that error messages suggest are the keys that exist."""
    tree = compose_tree("optimizer=sgd")
    for key in ("seed", "model.batchnorm", "data.train_pairs", "optimizer.momentum", "model.comparator.detach"):
        assert key in known_keys()
        assert OmegaConf.select(tree, key, default="missing") != "missing"
    for group, schemas in GROUP_SCHEMAS.items():
        assert sorted(schemas) == choices(group)


def test_a_key_without_value_is_named() -> None:
    """A required key that no YAML file fills is an error that names it."""
    tree = compose_tree()
    tree.model.name = "???"
    with pytest.raises(Exception, match=r"model\.name has no value"):
        from_composed(tree)
