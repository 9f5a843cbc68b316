"""The JSON schemas: what the program takes, they take, and what it refuses for its type or range, they refuse."""

import json
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator
from omegaconf import OmegaConf

from digitcmp.config.blocks import BLOCKS, LAYERS
from digitcmp.config.graph import check_keys
from digitcmp.config.messages import known_keys
from digitcmp.config.schema import ConvLayer
from digitcmp.errors import ConfigError
from digitcmp.schema import cli
from digitcmp.schema.files import KINDS, kind_of, missing_line, schema_of
from tests.conftest import CONF, ROOT, SWEEPS, Ended, compose_tree

FILES = [path for path in sorted([*CONF.rglob("*.yaml"), *SWEEPS.glob("*.yaml")]) if "hydra" not in path.parts]
VALIDATORS = {kind: Draft7Validator(schema_of(kind)) for kind in KINDS}


def within(path: Path) -> PurePosixPath:
    """A path from the top of the checkout."""
    return PurePosixPath(path.relative_to(ROOT).as_posix())


def wrong(kind: str, text: str) -> list[str]:
    """What a schema has against a file."""
    return [error.message for error in VALIDATORS[kind].iter_errors(yaml.safe_load(text))]


@pytest.mark.parametrize("kind", KINDS)
def test_schemas_are_valid(kind: str) -> None:
    """By the schema of schemas."""
    Draft7Validator.check_schema(VALIDATORS[kind].schema)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_shipped_files(path: Path) -> None:
    """Each is accepted, and its first line, or the one behind that of its package, names the schema that is there."""
    kind, text = kind_of(within(path)), path.read_text()
    assert kind is not None
    assert wrong(kind, text) == []
    lines = text.splitlines()
    told = lines[1 if lines[0].startswith("# @package") else 0]
    assert told == missing_line(within(path)), f"{path.name} has no line {missing_line(within(path))}"
    assert (path.parent / told.partition("$schema=")[2]).resolve() == ROOT / "schema" / f"{kind}.json"


@pytest.mark.parametrize("kind", KINDS)
def test_written_schemas_are_up_to_date(kind: str) -> None:
    """Otherwise: python -m digitcmp.schema --write schema."""
    assert json.loads((ROOT / "schema" / f"{kind}.json").read_text()) == schema_of(kind), "run: python -m digitcmp.schema --write schema"


WRONG = [
    ("run", "epochs: -1", "-1 is less than the minimum of 1"),
    ("run", "epochs: 2.5", "2.5"),
    ("run", "epochs: true", "True"),
    ("run", "epoch: 2", "'epoch'"),
    ("run", "rounds: some", "'some'"),
    ("run", "device: tpu", "'tpu'"),
    ("run", "columns: [plane]", "'plane'"),
    ("run", "ema: 1", "1 is"),
    ("run", "optimizer: {lr: 0}", "0 is"),
    ("run", "model: {dropout: 1}", "1 is"),
    ("run", "model: {tower: [{kernel: [3, 3, 3]}]}", "[3, 3, 3]"),
    ("run", "model: {tower: [{chanels: 3}]}", "'chanels'"),
    ("run", "hydra: {sweeper: {n_trials: 0}}", "0 is"),
    ("model", "comparator: {outputs: 4}", "4"),
    ("model", "tower: [{drop: 1.5}]", "1.5"),
    ("model", "tower: [{options: {scale: 1}}]", "{'scale': 1}"),
    ("model", "tower: [{kind: inception, channels: 8, kernel: 5}]", "5 is not valid under"),
    ("model", "joint_dense: [{kind: attention, units: 5}]", "5 is not valid under"),
    ("optimizer", "betas: [0.9]", "[0.9]"),
    ("data", "target: ge", "'ge'"),
    ("augment", "rotation: 200", "200"),
]


@pytest.mark.parametrize(("kind", "text", "words"), WRONG)
def test_mistakes(kind: str, text: str, words: str) -> None:
    """Each is refused, for its own reason."""
    found = list(VALIDATORS[kind].iter_errors(yaml.safe_load(text)))
    told = " ".join(one.message for error in found for one in [error, *(error.context or [])])
    assert len(found) == 1
    assert words in told


RIGHT = [
    ("run", "{epochs: 2, rounds: auto, device: 'cuda:1', workers: null, aux_weight: 1, seed: '${oc.env:SEED}'}"),
    ("run", "{optimizer: {lr: 0.1, momentum: 0.9, betas: [0.9, 0.99]}, scheduler: {final: 0}, data: {root: a}}"),
    ("run", "hydra: {sweep: {dir: a}, sweeper: {params: {model: 'net1,net2', aux_weight: 1}, pruners: {median: {warmup: 0}}}}"),
    ("run", "model: {weight_sharing: null, tower: [{kernel: [3, 5], pool_stride: null, drop: true, norm: group, channels: 4}]}"),
    ("model", "{tower: [{kind: inception, kernel: 3}, {kind: theirs, kernel: 5, options: {scale: 1}}], joint_dense: [{kind: attention}]}"),
    ("model", "{defaults: [net1, _self_], name: '???', comparator: {target: '${data.target}'}}"),
]


@pytest.mark.parametrize(("kind", "text"), RIGHT)
def test_accepted(kind: str, text: str) -> None:
    """What composes is no mistake."""
    assert wrong(kind, text) == []


@pytest.mark.parametrize("name", BLOCKS.own)
def test_keys_that_a_block_does_not_read(name: str) -> None:
    """The schema refuses exactly those that composition refuses, one by one; a norm or dropout may be marked where none is switched on."""
    layer = LAYERS[BLOCKS[name].of]
    values = {"channels": 8, "units": 8, "pooling": "avg", "activation": "gelu", "options": {"a": 1}}
    part = "tower" if layer is ConvLayer else "digit_dense"
    for item in fields(layer):
        if item.name in ("kind", "order", "norm", "drop", "relu"):
            continue
        value = values.get(item.name, not item.default if isinstance(item.default, bool) else 2)
        given = layer(**{"kind": name, item.name: value})
        try:
            check_keys("layer", given, BLOCKS[name])
            refused = False
        except ConfigError:
            refused = True
        assert bool(wrong("model", json.dumps({part: [{"kind": name, item.name: value}]}))) == refused, item.name


def test_whole_configurations() -> None:
    """What everything composes to is accepted, too."""
    for overrides in ([], ["+experiment=best"], ["model=attention", "optimizer=adamw", "scheduler=restarts", "augment=elastic"]):
        tree = json.loads(json.dumps(OmegaConf.to_container(compose_tree(*overrides), resolve=True)))  # no tuples
        assert [error.message for error in VALIDATORS["run"].iter_errors(tree)] == [], overrides


def test_every_key_is_explained() -> None:
    """Each key of the program, in words."""

    def keys(node: Any, root: Any, prefix: str = "") -> dict[str, str]:
        node = root["definitions"][node["$ref"].rpartition("/")[2]] if "$ref" in node else node
        found: dict[str, str] = {}
        for name, one in node.get("properties", {}).items():
            several = one.get("anyOf", [one])
            found[prefix + name] = one.get("description") or several[0].get("description", "")
            for part in [one, *several]:
                found |= keys(part, root, f"{prefix}{name}.")
                found |= keys(part.get("items", {}), root, f"{prefix}{name}.0.")
        return found

    root = VALIDATORS["run"].schema
    told = keys(root, root)
    groups = {name for name in told if "." not in name} & {"optimizer", "scheduler", "augment"}
    assert set(known_keys()) <= set(told)
    assert [name for name, text in told.items() if not text and name not in groups and not name.startswith(("defaults", "hydra"))] == []


def test_the_command(run_main: Callable[..., Ended], tmp_path: Path) -> None:
    """Prints one, writes all; a kind that there is not is refused."""
    ended = run_main(cli.main, "model")
    assert ended.code == 0
    assert json.loads(ended.out) == schema_of("model")
    assert json.loads(run_main(cli.main).out) == schema_of("run")
    assert run_main(cli.main, "--write", tmp_path / "s").code == 0
    assert sorted(path.stem for path in (tmp_path / "s").iterdir()) == sorted(KINDS)
    refused = run_main(cli.main, "modle")
    assert (refused.code, refused.err.count("\n")) == (1, 1)
    assert "KIND modle: there is no such choice" in refused.err
