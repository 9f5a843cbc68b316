"""What YAML files refer to: the schemas, the shipped sweeps, and the resolvers of folders' names and of `--help`."""

import re
from collections.abc import Collection
from hashlib import sha256

from hydra.core.config_store import ConfigStore
from omegaconf import DictConfig, OmegaConf

from digitcmp import screen
from digitcmp.config import schema
from digitcmp.config.identity import execution_keys, schema_key
from digitcmp.config.overrides import overrides_of
from digitcmp.data.fingerprint import PINNED
from digitcmp.files import shipped
from digitcmp.plugins import help, launcher, packages, recipes, remembering, slurm, sweeper

NAME_LENGTH = 100  # longest name of a run's folder; file systems end at 255 bytes


def run_name(before: str, overrides: list[str], named: Collection[str] = ()) -> str:
    """A readable folder name made of what was chosen on the command line, after `before`; empty without overrides.

    named: execution keys that are to be in it, too.
    Long names are shortened; a name that lost something by that, or by replacing characters that folders should not
    have, ends with a hash of the whole, so that different choices never share a folder.
    """
    unnamed = {"sweeps", *execution_keys()} - set(named)
    whole = ",".join(override.lstrip("+") for override in overrides if schema_key(override.lstrip("+").split("=")[0]) not in unnamed)
    name = re.sub(r"[^\w.,=+\[\]-]", "-", whole.replace("'", "").replace('"', ""), flags=re.ASCII)
    if name != whole or len(name) > NAME_LENGTH:
        name = f"{name[: NAME_LENGTH - 9]}-{sha256(whole.encode()).hexdigest()[:8]}"
    return before + name if whole else "" if before else "run"


def register() -> None:
    """Tell Hydra and OmegaConf what the YAML files refer to: schemas, sweeps, and the resolvers of names and groups."""
    launcher.register()
    slurm.register()
    sweeper.register()
    recipes.register()
    remembering.register()
    help.register()
    packages.register()
    store = ConfigStore.instance()
    store.store(group="schema", name="config", node=schema.Config, package="_global_", provider="digitcmp", replace=True)
    for group, choices in schema.GROUP_SCHEMAS.items():
        for name, node in choices.own.items():
            store.store(group=f"schema/{group}", name=name, node=node, provider="digitcmp", replace=True)
    for path in sorted(shipped("sweeps").glob("*.yaml")):
        store.store(group="sweeps", name=path.stem, node=OmegaConf.load(path), package="_global_", provider="digitcmp", replace=True)

    def name_of(before: str = "", *, _root_: DictConfig) -> str:
        # other files are other data, but for those that are verified
        named = [] if OmegaConf.select(_root_, "data.source") in PINNED else ["data.root"]
        return run_name(before, overrides_of(_root_.hydra, resolve=True), named)

    def keys(*, _root_: DictConfig) -> str:
        return help.keys(_root_)

    OmegaConf.register_resolver("digitcmp.run_name", name_of, replace=True)
    OmegaConf.register_resolver("digitcmp.fit", screen.fit, replace=True)
    OmegaConf.register_resolver("digitcmp.groups", help.groups, replace=True)
    OmegaConf.register_resolver("digitcmp.choices", help.choices, replace=True)
    OmegaConf.register_resolver("digitcmp.keys", keys, replace=True)
