"""The configuration of a run by its run.json, which says too what code of others the run was made with."""

from collections.abc import Collection
from pathlib import Path
from typing import Any

from digitcmp.config.allowed import ALLOWED, allowed
from digitcmp.config.blocks import BLOCKS
from digitcmp.config.composed import from_record
from digitcmp.config.offered import KINDS, offers, packages
from digitcmp.config.registry import ALGORITHMS, LOSSES
from digitcmp.config.schema import CHOSEN_BY, GROUP_SCHEMAS, Config
from digitcmp.config.taken import named
from digitcmp.errors import ConfigError
from digitcmp.files import shipped


class MissingCodeError(ConfigError):
    """A run needs code that is not here."""


def of_run(about: dict[str, Any], execution: dict[str, Any] | None = None, needs: Collection[str] = ()) -> Config:
    """The typed configuration of a run (see `from_record`). about: its run.json; needs: groups of `KINDS` whose names
    must be known. Raises ConfigError, and of these MissingCodeError where that is so for want of code that the run was made with."""
    if text := missing_code(about, needs):
        raise MissingCodeError(text)
    try:
        return from_record(about["configuration"], execution)
    except ConfigError as error:
        if text := missing_code(about, [group for group in KINDS if group != "data"]):  # which is not read for it
            raise MissingCodeError(text) from error
        raise


def missing_code(about: dict[str, Any], groups: Collection[str]) -> str:
    """What a run names in these groups that nobody offers here, by what it was offered, and how that is let in; empty where all is there,
    or where its run.json does not say. about: that."""
    there = {package.name for package in packages()}
    gone = {str(name): version for name, version in (about.get("plugins") or {}).items() if name not in there}
    if not gone or not groups:
        return ""
    own, offered = own_names(), offers()
    for group, path, value in named(about["configuration"]):
        if group in groups and value not in own[group] and value not in offered[group]:
            made = " or ".join(f"{name} ({version})" for name, version in gone.items())
            return f"{'.'.join(path)}={value}: the run was made with what {made} offers, which is not here; {how_to_have(list(gone))}"
    return ""


def how_to_have(names: list[str]) -> str:
    """How files and packages come to be there. names: as in a run.json."""
    files = [name if Path(name).is_file() else f"FOLDER/{name}" for name in names if name.endswith(".py")]
    ways = [f"install {name}" for name in names if not name.endswith(".py")]
    if files:
        ways.append(f"let it in by the environment, {ALLOWED}={','.join([*allowed(), *files])}")
    return ", and ".join(ways)


def own_names() -> dict[str, set[str]]:
    """Our own names, by the group in which others offer more."""
    chosen = {
        GROUP_SCHEMAS[part].group: {getattr(schema, key) for schema in GROUP_SCHEMAS[part].own.values()} for part, key in CHOSEN_BY.items()
    }
    chosen["optimizers"].update(ALGORITHMS)
    data = {file.stem for file in (shipped("conf") / "data").glob("*.yaml")}
    return {**chosen, BLOCKS.group: {*BLOCKS.own}, LOSSES.group: {*LOSSES.own}, "data": data}
