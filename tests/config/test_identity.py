"""What makes two configurations equal, and where each key has its home."""

from copy import deepcopy
from dataclasses import MISSING as NO_DEFAULT
from dataclasses import field, fields, is_dataclass, make_dataclass
from itertools import permutations
from typing import Any, get_type_hints

import pytest
import yaml
from omegaconf import MISSING

from digitcmp.config import identity
from digitcmp.config.identity import completed, configuration, configuration_hash, differences, execution_keys
from digitcmp.config.schema import GROUP_SCHEMAS, Auto, Config, ConvLayer, Elastic, ModelConfig, Ray, Sgd, Slurm
from tests.conftest import CONF, compose_config


def hash_of(*overrides: str) -> str:
    """The hash of what these overrides compose."""
    return configuration_hash(configuration(compose_config(*overrides)))


@pytest.mark.parametrize(
    "override",
    [
        "seed=3",
        "rounds=5",
        "engine=serial",
        "workers=1",
        "device=cpu",
        "save_model=true",
        "data.root=elsewhere",
        "rounds=auto",
        "auto.max=50",
        "ray.address=auto",
        "data.size=14",
    ],
)
def test_hash_ignores_where_and_how(override: str) -> None:
    """Replicates have equal hashes: seeds, engines, devices and folders change nothing that is computed."""
    assert hash_of(override) == hash_of()


@pytest.mark.parametrize(
    "override",
    [
        "epochs=26",
        "batch_size=50",
        "model=net1",
        "model.dropout=0.1",
        "optimizer.lr=0.002",
        "scheduler=cosine",
        "data.shuffle=true",
        "data.val_pairs=10",
        "data.size=28",
        "data.target=same",
    ],
)
def test_hash_sees_what_changes_numbers(override: str) -> None:
    """Everything else is part of the identity."""
    assert hash_of(override) != hash_of()


def test_equal_values_have_equal_hashes() -> None:
    """1 and 1.0 are the same auxiliary weight."""
    assert len({hash_of("model=wsn", f"aux_weight={text}") for text in ("1", "1.0", "1e0")}) == 1


def test_execution_keys() -> None:
    """What says where, how and how often: these and no others. (The seed is what replicates differ in.)"""
    where_and_how = {
        "device",
        "engine",
        "workers",
        "stack_size",
        "save_model",
        "checkpoint_every",
        "retry_failed",
        "dry_run",
        "preview",
        "report",
        "data.root",
    }
    auto = {"auto", "auto.margin", "auto.batch", "auto.max", "auto.level"}
    ray = {"ray", "ray.address", "ray.cpus", "ray.gpus", "ray.retries"}
    slurm = {"slurm", *(f"slurm.{item.name}" for item in fields(Slurm))}
    assert set(execution_keys()) == {"rounds", "tags", "callbacks", *where_and_how, *auto, *ray, *slurm}


def test_an_earlier_configuration_is_completed() -> None:
    """With the values of conf/config.yaml and of the schema; what must be given is left out."""
    values = configuration(compose_config("model=wsn"))
    older = deepcopy(values)
    older["data"] = {"source": "digits"}
    del older["ema"], older["columns"], older["model"]["tower"][0]["norm"], older["optimizer"]["betas"]
    assert completed(older) == values
    assert configuration_hash(older) == configuration_hash(values)


def test_a_key_that_comes_later_changes_no_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a layer, in a choice, and at the top: what was trained before is the same configuration at the new key's default."""
    before = configuration(compose_config("model=net4", "optimizer=sgd", "augment=elastic"))
    for path in (("model", "tower", 0, "warp"), ("optimizer", "dampening"), ("augment", "blur")):
        kind = {"model": ConvLayer, "optimizer": Sgd, "augment": Elastic}[str(path[0])]
        later = make_dataclass("Later", [(str(path[-1]), float, field(default=0.5))], bases=(kind,))
        after = deepcopy(before)
        node: Any = after
        for part in path[:-1]:
            node = node[part]
        node[path[-1]] = 0.5
        with monkeypatch.context() as patch:
            if kind is ConvLayer:
                patch.setattr(
                    identity,
                    "get_type_hints",
                    lambda node, later=later: {**get_type_hints(node), **({"tower": list[later]} if node is ModelConfig else {})},
                )
            else:
                patch.setitem(GROUP_SCHEMAS[str(path[0])], kind.__name__.lower(), later)
            assert configuration_hash(after) == configuration_hash(before)
            node[path[-1]] = 0.6
            assert configuration_hash(after) != configuration_hash(before)


def test_hashes_are_known() -> None:
    """A default that changes changes what old folders mean: whoever does it has to change this too, on purpose."""
    names = ("net1", "wsn", "best")
    assert [hash_of(f"+experiment={name}") for name in names] == ["b200cf4adf55", "8487785c3183", "398bec3cd0e5"]


def test_choices_are_never_taken_for_each_other() -> None:
    """Though all else that they are made of is at its defaults: the name of the algorithm, shape or kind is always part of the hash."""
    for group, schemas in GROUP_SCHEMAS.items():
        assert len(
            {hash_of(f"{group}={name}", "optimizer.lr=0.1", "optimizer.weight_decay=0", "data.val_pairs=10") for name in schemas}
        ) == len(schemas)


@pytest.mark.parametrize(
    ("one", "other"),
    [("model.dropout=0", "model.dropout=-0.0"), ("optimizer.lr=1e-3", "optimizer.lr=0.001"), ("aux_weight=0.0", "epochs=25")]
    + [(f"model.tower.0.{name}=2", f"model.tower.0.{name}=[2,2]") for name in ("kernel", "padding", "pool", "pool_stride")]
    + [("model.tower.0.stride=1", "model.tower.0.stride=[1,1]")]
    + [(f"model.{layer}.0.norm=none", f"model.{layer}.0.norm=false") for layer in ("tower", "digit_dense")],
)
def test_one_configuration_spelt_in_two_ways(one: str, other: str) -> None:
    """A default written out, another notation of a number, the other zero, another word: one run."""
    assert hash_of("model=wsn", "aux_weight=0", one) == hash_of("model=wsn", "aux_weight=0", other)


@pytest.mark.parametrize(
    ("key", "parts"),
    [
        ("optimizer.groups", ["{part: tower, lr: 0.01}", "{part: comparator, lr: 0.02}", "{part: digit_head, lr: 0.3}"]),
        ("loss.terms", ["{loss: triplet, weight: 0.5}", "{loss: contrastive, weight: 0.1}"]),
    ],
)
def test_lists_whose_order_means_nothing(key: str, parts: list[str]) -> None:
    """In any order they are one configuration, and the same object: what is trained has the same last digits, too."""
    one, *others = (compose_config("model=wsn", f"{key}=[{', '.join(order)}]") for order in permutations(parts))
    assert all(other == one for other in others)


def test_the_17th_digit_tells_apart() -> None:
    """Two numbers that differ at all are two configurations."""
    assert hash_of("optimizer.lr=0.3") != hash_of("optimizer.lr=0.30000000000000004")


def test_differences_in_words() -> None:
    """The keys that differ, with both values; long lists are cut."""
    before, after = (
        configuration(compose_config(*overrides)) for overrides in ((), ("epochs=60", "model.dropout=0.2", "model.batchnorm=false"))
    )
    assert differences(before, after) == "epochs 25 -> 60, model.dropout 0.0 -> 0.2"
    assert differences({str(one): 0 for one in range(9)}, {}).endswith("3 0 -> absent and 5 more")


def schema_defaults(node: Any, prefix: str = "") -> dict[str, Any]:
    """The dotted keys for which the schema itself has a value."""
    found: dict[str, Any] = {}
    hints = get_type_hints(node)
    for item in fields(node):
        if is_dataclass(hints[item.name]):
            found |= schema_defaults(hints[item.name], f"{prefix}{item.name}.")
        elif item.default not in (NO_DEFAULT, MISSING):
            found[prefix + item.name] = item.default
    return found


def test_a_key_has_one_home() -> None:
    """No value of conf/config.yaml, nor of a file that a choice needs, stands in the schema too."""
    primary = yaml.safe_load((CONF / "config.yaml").read_text())
    known = schema_defaults(Config)
    assert not {name for name in primary if name in known}
    missing = {item.name for item in fields(Config) if item.default == MISSING} | {"auto", "callbacks", "ray", "slurm"}
    for name, group in (("auto", Auto), ("ray", Ray), ("slurm", Slurm)):
        assert set(primary[name]) == {item.name for item in fields(group) if item.default == MISSING}
    assert missing == {name for name in primary if name not in ("defaults", "hydra")}
    for group, schemas in GROUP_SCHEMAS.items():
        for name, schema in schemas.items():
            written = yaml.safe_load((CONF / group / f"{name}.yaml").read_text())
            doubled = {key: value for key, value in written.items() if schema_defaults(schema).get(key, MISSING) == value}
            assert not doubled, (group, name)


def test_differences_tell_the_network_first_and_long_values_last() -> None:
    """What would take many words is named alone."""
    tower = [{"channels": 32, "kernel": 5, "order": ["layer", "norm", "pool", "drop"]}]
    before = {"aux_weight": 0.5, "model": {"name": "wsn", "tower": tower}}
    after = {"aux_weight": 0.0, "model": {"name": "net1", "tower": []}}
    assert differences(before, after) == "model.name wsn -> net1, aux_weight 0.5 -> 0.0, another model.tower"
    assert differences(before, after, most=1) == "model.name wsn -> net1 and 2 more"
