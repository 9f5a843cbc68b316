"""How best.yaml is used: in words that do, as they stand, what they say in the folder where the search was started."""

import shlex
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from digitcmp.config.allowed import BESIDE, code_let_in
from digitcmp.config.known import GROUPS as CHOSEN
from digitcmp.errors import ConfigError
from digitcmp.plugins.jobs import as_text
from digitcmp.search.grammar import parse

GROUPS = (*CHOSEN, "callbacks", "hydra")  # of the configuration
FOLDERS = ("--config-dir", "-cd"), ("--config-path", "-cp")  # options that say where YAML files are: beside ours, in place of ours


def how_to_use(folder: Path, options: Sequence[str] = (), searchpath: Sequence[str] = ()) -> str:
    """How the best.yaml in the folder of a search is used, with the YAML files and the code that the search had. options: of the search,
    that say where things come from (`digitcmp.arguments.sources`); searchpath: its hydra.searchpath."""
    place = folder_in(options, *FOLDERS[0]) or folder_in(options, *FOLDERS[1]) or "conf"
    more = [f"hydra.searchpath={as_text(list(searchpath))}"] if searchpath else []
    copied = shlex.join([*options, *code_let_in(), *more, "+experiment=NAME"])
    used = where_it_is(folder, options, searchpath)
    return f"Use: copy it to {Path(place, 'experiment', 'NAME.yaml')}, then {copied}" + (f"; or {used}" if used else "")


def where_it_is(folder: Path, options: Sequence[str] = (), searchpath: Sequence[str] = ()) -> str:
    """How it is used where it is; nothing where Hydra takes the folder's name for no group's, as one that begins with a digit, or
    for that of a group of ours, whose choices are other files. options, searchpath: as in `how_to_use`."""
    override, above = f"+{folder.name}=best", folder.parent
    if folder.name in GROUPS:
        return ""
    with suppress(ConfigError):
        if (found := parse(override)).key_or_group == folder.name and found.value() == "best":
            return shlex.join([*leading_to(above, options, searchpath), override])
    return ""


def leading_to(above: Path, options: Sequence[str], searchpath: Sequence[str]) -> list[str]:
    """The options, and those that make Hydra look into this folder, too. It takes one --config-dir only, beside which code would have to be
    let in; others are on its path."""
    given, code = folder_in(options, *FOLDERS[0]), code_let_in()
    if given and Path(given).resolve() == above.resolve() and not searchpath:
        return [*options, *code]
    if given or searchpath or (above / BESIDE).is_file():
        return [*options, *code, f"hydra.searchpath={as_text([*searchpath, str(above)])}"]
    return ["--config-dir", str(above), *options, *code]


def folder_in(options: Sequence[str], *names: str) -> str:
    """The value of an option with one of these names; empty where it is not among them."""
    for index, word in enumerate(options):
        name, _, value = word.partition("=")
        if name in names:
            return value or (options[index + 1] if index + 1 < len(options) else "")
    return ""
