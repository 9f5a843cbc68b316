"""What makes two configurations equal, and where each key has its home."""

from dataclasses import MISSING as NO_DEFAULT
from dataclasses import fields, is_dataclass
from typing import Any, get_type_hints

import pytest
import yaml
from omegaconf import MISSING

from digitcmp.config.identity import completed, configuration, configuration_hash, defaults, differences, execution_keys
from digitcmp.config.schema import GROUP_SCHEMAS, Config
from tests.conftest import CONF, compose_config


def hash_of(*overrides: str) -> str:
    """The hash of what these overrides compose."""
    return configuration_hash(configuration(compose_config(*overrides)))


@pytest.mark.parametrize(
    "override", ["seed=3", "rounds=5", "engine=serial", "workers=1", "device=cpu", "save_model=true", "data.root=elsewhere"]
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
    where_and_how = {"device", "engine", "workers", "stack_size", "save_model", "retry_failed", "dry_run", "report", "data.root"}
    assert set(execution_keys()) == {"rounds", *where_and_how}


def test_an_earlier_configuration_is_completed() -> None:
    """With the values of conf/config.yaml and of the schema; what must be given is left out."""
    values = configuration(compose_config("model=wsn"))
    older = {name: value for name, value in values.items() if name not in ("ema", "columns")}
    older["data"] = {"source": "digits"}
    assert completed(older) == values
    assert "lr" in defaults()["optimizer"]
    assert completed({})["optimizer"] == {"comparator_lr": None, "weight_decay": 0.0}


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
    missing = {item.name for item in fields(Config) if item.default == MISSING}
    assert missing == {name for name in primary if name not in ("defaults", "hydra")}
    for group, schemas in GROUP_SCHEMAS.items():
        for name, schema in schemas.items():
            written = yaml.safe_load((CONF / group / f"{name}.yaml").read_text())
            doubled = {key: value for key, value in written.items() if schema_defaults(schema).get(key, MISSING) == value}
            assert not doubled, (group, name)
