"""What YAML files refer to: the schemas, the shipped sweeps, and the resolvers of folders' names and of `--help`."""

import re
from collections.abc import Collection
from dataclasses import fields
from hashlib import sha256

from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig, OmegaConf

from digitcmp.config import messages, schema
from digitcmp.config.identity import execution_keys
from digitcmp.data.fingerprint import PINNED
from digitcmp.files import shipped
from digitcmp.plugins import launcher, recipes, sweeper

NAME_LENGTH = 100  # longest name of a run's folder; file systems end at 255 bytes


def run_name(before: str, overrides: list[str], named: Collection[str] = ()) -> str:
    """A readable folder name made of what was chosen on the command line, after `before`; empty without overrides.

    named: execution keys that are to be in it, too.
    Long names are shortened; a name that lost something by that, or by replacing characters that folders should not
    have, ends with a hash of the whole, so that different choices never share a folder.
    """
    unnamed = {"sweeps", *execution_keys()} - set(named)
    whole = ",".join(override.lstrip("+") for override in overrides if override.lstrip("+").split("=")[0] not in unnamed)
    name = re.sub(r"[^\w.,=+\[\]-]", "-", whole.replace("'", "").replace('"', ""), flags=re.ASCII)
    if name != whole or len(name) > NAME_LENGTH:
        name = f"{name[: NAME_LENGTH - 9]}-{sha256(whole.encode()).hexdigest()[:8]}"
    return before + name if whole else "" if before else "run"


def groups() -> str:
    """The groups and their choices, as `--help` shows them; groups of a folder given with --config-dir included."""
    loader = GlobalHydra.instance().config_loader()
    lines = []
    for group in loader.list_groups(""):
        choices = loader.get_group_options(group)
        if choices and group not in ("hydra", "schema"):
            name = f"+{group}" if group in ("experiment", "ladder", "sweeps") else group
            numbered = all(choice[0].isdigit() for choice in choices)  # the rungs of a ladder: too many to tell
            lines.append(messages.hanging(f"  {name:<12} ", f"{choices[0]} … {choices[-1]}" if numbered else " ".join(choices)))
    return "\n".join(lines)


def keys() -> str:
    """The keys that every run has, as `--help` shows them: first those that change its numbers, then those that change none."""
    names, execution = [item.name for item in fields(schema.Config)], set(execution_keys())
    own = [name for name in names if name not in execution and name not in {"model", *schema.GROUP_SCHEMAS, "data"}]
    how = [name for name in names if name in execution]
    return messages.hanging("  ", " ".join(own)) + "\n" + messages.hanging("  where, how: ", " ".join(how))


def register() -> None:
    """Tell Hydra and OmegaConf what the YAML files refer to: schemas, sweeps, and the resolvers of names and groups."""
    launcher.register()
    sweeper.register()
    recipes.register()
    store = ConfigStore.instance()
    store.store(group="schema", name="config", node=schema.Config, package="_global_", provider="digitcmp", replace=True)
    for group, choices in schema.GROUP_SCHEMAS.items():
        for name, node in choices.items():
            store.store(group=f"schema/{group}", name=name, node=node, provider="digitcmp", replace=True)
    for path in sorted(shipped("sweeps").glob("*.yaml")):
        store.store(group="sweeps", name=path.stem, node=OmegaConf.load(path), package="_global_", provider="digitcmp", replace=True)

    def name_of(before: str = "", *, _root_: DictConfig) -> str:
        # other files are other data, but for those that are verified
        named = [] if OmegaConf.select(_root_, "data.source") in PINNED else ["data.root"]
        return run_name(before, list(_root_.hydra.overrides.task), named)

    OmegaConf.register_resolver("digitcmp.run_name", name_of, replace=True)
    OmegaConf.register_resolver("digitcmp.groups", groups, replace=True)
    OmegaConf.register_resolver("digitcmp.keys", keys, replace=True)
