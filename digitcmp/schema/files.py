"""The schema of each kind of YAML file."""

import json
from pathlib import PurePosixPath
from typing import Any

from digitcmp.config.schema import GROUP_SCHEMAS, Config, DataConfig, ModelConfig
from digitcmp.schema.keys import REFERENCE, Node, definitions, merged, properties
from digitcmp.search.config import SearchConfig

DRAFT = "http://json-schema.org/draft-07/schema#"
KINDS = ("run", "model", "optimizer", "scheduler", "data", "augment", "callbacks")
WHOLE = ("experiment", "ladder", "sweeps")  # groups whose files are about a whole run
DEFAULTS: Node = {
    "description": "Files that come first, and choices of groups: what a later one says counts.",
    "type": "array",
    "items": {"type": ["string", "object"]},
}
FREE: Node = {"type": "object"}


def kind_of(path: PurePosixPath) -> str | None:
    """The kind of a file of conf/ or sweeps/, by its path; None for one of Hydra's own groups."""
    group = path.parent.name
    if "hydra" in path.parts:
        return None
    return group if group in KINDS else "run"


def as_text(kind: str) -> str:
    """The schema of a kind of files as it is written."""
    return json.dumps(schema_of(kind), indent=1, ensure_ascii=False) + "\n"


def schema_of(kind: str) -> Node:
    """The schema of a kind of files. Keys may be left out, since files are merged, and none may be there that nobody knows."""
    made: dict[str, Node] = {
        "run": {**properties(Config), **{group: {"$ref": f"#/definitions/{group}"} for group in GROUP_SCHEMAS}, "hydra": hydra()},
        "model": properties(ModelConfig),
        "data": properties(DataConfig),
        "callbacks": {},
    }
    own = merged(kinds_of(kind)) if kind in GROUP_SCHEMAS else made[kind]
    schema: Node = {"$schema": DRAFT, "title": f"digitcmp: {title_of(kind)}", "type": "object", "properties": {"defaults": DEFAULTS, **own}}
    schema["additionalProperties"] = kind == "callbacks"
    schema["definitions"] = {group: group_of(kinds_of(group)) for group in GROUP_SCHEMAS} if kind == "run" else {}
    schema["definitions"] = dict(sorted({**schema["definitions"], **definitions(schema)}.items()))
    return schema


def kinds_of(group: str) -> list[type]:
    """The dataclasses of a group's choices, those of installed packages included."""
    return [kind for _, kind in GROUP_SCHEMAS[group].usable()]


def title_of(kind: str) -> str:
    """What a kind of files is."""
    return "a configuration, a recipe or a sweep" if kind == "run" else f"a choice of the group {kind}"


def group_of(choices: list[type]) -> Node:
    """What a file may say for a group whatever was chosen from it."""
    return {"type": "object", "properties": merged(choices), "additionalProperties": False}


def hydra() -> Node:
    """Hydra's own part, as far as it is ours."""
    sweeper: Node = {"type": "object", "properties": properties(SearchConfig), "additionalProperties": True}
    sweeper["properties"]["params"] = {
        "description": "What is swept: KEY: VALUE,VALUE; in a search also KEY: interval(LOW,HIGH) and {when: KEY=CHOICE, space: SPACE}.",
        "anyOf": [FREE, {"type": "null"}, REFERENCE],
    }
    return {"description": "Of Hydra: folders, launcher, sweeper.", "type": "object", "properties": {"sweeper": sweeper}}


def missing_line(path: PurePosixPath) -> str:
    """The comment by which a file of conf/ or sweeps/ names its schema. path: from the top of a checkout."""
    up: Any = "/".join([".."] * (len(path.parts) - 1))
    return f"# yaml-language-server: $schema={up}/schema/{kind_of(path)}.json"
