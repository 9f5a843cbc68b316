"""Errors in one line: Hydra's and OmegaConf's own texts, rewritten so that they quote the value and name what would be right."""

import re
import shlex
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import fields, is_dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from hydra.errors import MissingConfigException, OverrideParseException
from omegaconf.errors import ConfigKeyError, InterpolationResolutionError, OmegaConfBaseException, ValidationError

from digitcmp.config.known import ADDED, known_text, no_null, within_list
from digitcmp.config.meant import apart, blank, colon, word
from digitcmp.config.references import reference
from digitcmp.config.samplers import of_samplers
from digitcmp.config.schema import AUTO, GROUP_SCHEMAS, Config
from digitcmp.config.several import comma
from digitcmp.config.unread import first, frames_of, unreadable, written_last
from digitcmp.errors import DigitcmpError, shortened
from digitcmp.inert import line
from digitcmp.names import UNREAD, UNREADABLE
from digitcmp.passwords import without_passwords

RUN_DIR = "hydra.run.dir"
# what other programs call keys of this one
OTHER_WORDS = {"learning_rate": "optimizer.lr", "dataset": "data", "network": "model", "output": RUN_DIR, "output_dir": RUN_DIR}
TRACE = "HYDRA_FULL_ERROR=1 in front of the command shows where"


def one_line(error: BaseException, arguments: Sequence[str] = ()) -> str:
    """What went wrong, in one line for the screen, without passwords. arguments: the command line, from which sweep syntax that Hydra
    stumbles over is quoted."""
    return line(without_passwords(told(error, arguments)))


def told(error: BaseException, arguments: Sequence[str]) -> str:
    """What went wrong, in one line of any length."""
    if isinstance(error, DigitcmpError):
        return str(error)
    if isinstance(error, MissingConfigException) and error.options:  # model=wsm
        group, _, choice = (error.missing_cfg_file or "").rpartition("/")
        options = list(error.options)
        plus = "+" if group in ADDED else ""
        which = f"{suggestion(choice, options)}; choose one of {', '.join(options)}"
        return f"{plus}{group}={choice}: there is no such choice{of_ones_own(group, choice) or which}"
    if text := unreadable(error, arguments):
        return text
    if isinstance(error, OSError) and (name := error.filename or written_last(error)):
        path = shortened(name)
        return f"cannot write or read {path}: {error.strerror}; choose another folder with hydra.run.dir or hydra.sweep.dir"
    if isinstance(error, OSError):
        return (known_text(str(error), arguments) if isinstance(error, MissingConfigException) else "") or first(str(error))
    if isinstance(error, ImportError | MemoryError):
        return f"{first(str(error))}: a library is damaged, or there is too little memory for it (ulimit -v)"
    return (
        missing(error)
        or known_text(str(error), arguments)
        or within_list(str(error), arguments)
        or word(error, arguments)
        or apart(error, arguments)
        or comma(error, arguments)
        or blank(error, arguments, known_keys())
        or colon(error, arguments, known_keys())
        or by_class(error)
        or first(str(error) or f"{type(error).__name__}; {TRACE}")
    )


def of_ones_own(group: str, choice: str) -> str:
    """That a folder here has this choice, and how it is added; empty where none has."""
    if not choice.isidentifier():
        return ""
    with suppress(OSError):
        for path in sorted(Path.cwd().glob(f"*/{group}/{choice}.yaml")):
            found = path.relative_to(Path.cwd())
            return f" here, but {found} is one: add {shlex.join(['--config-dir', found.parts[0]])}"
    return ""


def missing(error: BaseException) -> str:
    """A key that there is not, as Hydra and OmegaConf tell it; empty for any other error."""
    text, source = str(error), source_of(error)
    if "An item is already at" in text:  # and may not be added
        return ""
    if found := re.search(r"Could not (?:override|append to config\.?|delete from config\.) ?'?([\w./@-]+)'?", text):
        path = found[1]
    elif isinstance(source, ConfigKeyError) and source.full_key:
        path = source.full_key
    else:
        return ""
    value = re.search(rf"use \+{re.escape(path)}(=\S*)", text)
    whole = str(getattr(source, "full_key", None) or path)
    # a.b.c, where there is not even an a.b
    above = whole if path.startswith(f"{whole}.") else path
    return unknown_key(above, value[1] if value and above == path else "", getattr(source, "object_type", None))


def source_of(error: BaseException) -> OmegaConfBaseException | None:
    """The error of OmegaConf that is behind another one, if there is one."""
    source: BaseException | None = error
    while source is not None and not isinstance(source, OmegaConfBaseException):
        source = source.__cause__
    return source


def by_class(error: BaseException) -> str:
    """Errors that are known by their class, or by that of the OmegaConf error behind them; empty for any other."""
    source = source_of(error)
    if isinstance(error, OverrideParseException) and (text := no_null(error.override, str(error))):
        return text
    if isinstance(error, OverrideParseException) and (found := re.search(r"while evaluating '(?:.*)': (.*)", str(error))):
        return f"{error.override}: {found[1]}"
    if isinstance(error, OverrideParseException) and not error.override.isascii() and UNREAD.search(error.override):
        return f"{error.override}: {UNREADABLE}"
    if isinstance(error, OverrideParseException) and re.fullmatch(r"[\w./-]+", error.override):
        return f"{error.override}: this is not KEY=VALUE, as in model=wsn or epochs=5; --help shows what there is"
    if isinstance(error, OverrideParseException):
        return f"{error.override}: this is not KEY=VALUE; quote a value that has special characters twice, as in 'KEY=\"~/a\"'"
    if isinstance(source, InterpolationResolutionError):
        return reference(source)
    return wrong_type(source) if isinstance(source, ValidationError) else ""


def raised_by_a_library(error: BaseException) -> bool:
    """Whether a library could not be imported, or had too little memory, which is no fault of this program."""
    return isinstance(error, ImportError | MemoryError) and not str(frames_of(error)[-1].f_globals.get("__name__")).startswith("digitcmp")


def wrong_type(error: ValidationError) -> str:
    """optimizer.lr=abc: what kind of value the key takes."""
    found = re.search(r"Value '(.*)' (?:of type '.*' could not be converted to|is not a valid) (\w+)", str(error))
    if not error.full_key:
        return first(str(error))
    if "is not Optional" in str(error):
        return f"{error.full_key}=null: must have a value"
    if "Cannot convert 'list' to string" in str(error) or "Cannot convert 'dict' to string" in str(error):
        return f"{error.full_key}: must be one value; for a run of each: --multirun {error.full_key}=A,B"
    if group := re.search(r"str is not a subclass of SamplerConfig. value: (\w+)", str(error)):
        return f"{error.full_key}={group[1]}: this is a group; choose one so: {error.full_key.replace('.', '/')}={group[1]}"
    if "is not a ListConfig" in str(error):
        return f"{error.full_key}: must be a list, as in {error.full_key}=[A,B]"
    if other := re.search(r"Value '(.*)' of type '.*' is incompatible with type hint 'Union\[int, str\]'", str(error)):
        return f"{error.full_key}={other[1]}: must be a whole number, or {AUTO}"
    if not found and "Invalid type assigned" in str(error) and error.full_key and error.full_key.endswith("]"):
        return f"{error.full_key}: there is no such entry to be changed; the list is shorter in what was chosen"
    if not found:
        return f"{error.full_key}: {first(str(error))}"
    if found[2] == "Integer" and (ends := re.fullmatch(r"(\d+)(?:\.\.+|-|:)(\d+)", found[1])):  # seed=1..5
        listed = f"'{error.full_key}=range({ends[1]},{int(ends[2]) + 1})'"
        return f"{error.full_key}={found[1]}: must be a whole number; for a run of each: --multirun {listed}"
    kinds = {"Float": "a number", "Integer": "a whole number", "bool": "true or false"}
    several = re.fullmatch(r"\[(.+)\]", found[1])  # seed=[1,2,3]
    more = f"; for a run of each: --multirun {error.full_key}={several[1].replace(' ', '')}" if several else ""
    more += "; weights of single heads are those of model.aux_heads" if several and error.full_key == "aux_weight" else ""
    return f"{error.full_key}={found[1]}: must be {kinds.get(found[2], found[2])}{more}"


def unknown_key(path: str, value: str = "", kind: Any = None) -> str:
    """A key that no schema has: the nearest one that exists, and its neighbours; or the plus sign that adds a group.

    value: what it was to get, with its equals sign, if that is known. kind: the dataclass in which it was looked for.
    """
    shown = path + value
    if path in ADDED:
        return f"{shown}: this group is added with a plus sign: +{shown}"
    if path.startswith("hydra.job.env_set"):
        return f"{shown}: this key is added with a plus sign: +{shown}"
    if added := get_close_matches(path, ADDED, n=1, cutoff=0.8):  # experiments=net1
        return f"{shown}: there is no such key; did you mean +{added[0]}{value}?"
    if told := of_samplers(path, value):
        return told
    group, _, name = path.rpartition(".")
    owners = [choice for choice, schema in of_choices(group) if name in {item.name for item in fields(schema)}]
    if owners:
        return f"{shown}: the chosen {group} has no such key; it belongs to {', '.join(f'{group}={choice}' for choice in owners)}"
    known = known_keys()
    beside = [item.name for item in fields(kind) if not item.name.startswith("_") and item.name != "defaults"] if is_dataclass(kind) else []
    beside = beside or list(dict.fromkeys(key.rpartition(".")[2] for key in known if key.rpartition(".")[0] == group))
    if not group or not beside:
        return f"{shown}: there is no such key{suggestion(path, [*known, RUN_DIR])}; --help-keys explains all keys"
    close = get_close_matches(name, beside, n=1)
    elsewhere = suggestion(name, known, 1.0)  # the same name in another group
    near = elsewhere or (f" (did you mean {group}.{close[0]}?)" if close else "")
    return f"{shown}: there is no such key{near}; {group} has {', '.join(beside)}"


def suggestion(wrong: str, known: Sequence[str], cutoff: float = 0.6) -> str:
    """' (did you mean …?)' for a near miss, else nothing."""
    # a key is also known by its last part, and the learning rate by its name
    last = {name.rpartition(".")[2]: name for name in sorted(known, key=lambda name: (".0." not in name, -name.count(".")))}
    others = {word: name for word, name in OTHER_WORDS.items() if name in known}
    names = {**last, **others, **{name: name for name in known}}
    close = get_close_matches(wrong.lower(), names, n=1, cutoff=cutoff)
    return f" (did you mean {names[close[0]]}?)" if close else ""


def known_keys(node: Any = Config, prefix: str = "") -> list[str]:
    """All dotted keys of the schema, those of every choice of a group included, and the groups themselves."""
    keys: list[str] = []
    hints: dict[str, Any] = get_type_hints(node)
    for item in fields(node):
        keys.append(prefix + item.name)
        kinds = [kind for kind in (hints[item.name], *get_args(hints[item.name])) if is_dataclass(kind)]
        within = ".0." if get_origin(hints[item.name]) is list else "."  # a layer has its number
        for kind in [*kinds, *(schema for _, schema in of_choices(prefix + item.name))]:
            keys += known_keys(kind, f"{prefix}{item.name}{within}")
    return keys


def of_choices(group: str) -> list[tuple[str, type]]:
    """The choices of a group that bring keys of their own, and their dataclasses."""
    return [*GROUP_SCHEMAS[group].usable()] if group in GROUP_SCHEMAS else []
