"""Several values where one is taken, or more than one run: the command that was meant by them, which is taken as it stands."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import is_dataclass
from typing import Any, get_args, get_origin, get_type_hints

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, IntervalSweep, Override
from hydra.errors import HydraException, OverrideParseException

from digitcmp.config.meant import whole
from digitcmp.config.schema import GROUP_SCHEMAS, Config

WHOLE = ("preview", "dry_run")  # keys that are for all jobs of a sweep
PARAMS = re.compile(r"\+*hydra\.sweeper\.params\.([^=]+)=(.*)")
QUOTED, QUOTED_TEXT = re.compile(r"^([\"'])(.*)\1$"), r"\2"
ALONE, SHOWN = ("--run", "-r"), ("--cfg", "-c", "--info", "-i")  # options of one run, and of one configuration
MANY = ("sweeps", "hydra.sweep", "hydra/sweeper", "hydra/launcher")  # how keys begin that are for many runs
PLACES = ("hydra.run.dir", "hydra.sweep.dir")  # keys of the folder of one run, and of that of many
SEARCHER = "hydra/sweeper=digitcmp_optuna"
HELD_OUT = 200  # validation pairs of a search, or a fifth of the training pairs


def instead(given: str, arguments: Sequence[str]) -> str:
    """Why several values are not taken where they were given, and the command that was meant."""
    name = name_of(given)
    if PARAMS.fullmatch(given):
        what = "what a sweep is over is typed by itself"
    elif name.startswith("hydra"):
        what = "this takes one value for all runs of a command"
    elif name == "sweeps":
        what = "a command trains one named sweep"
    elif name in WHOLE:
        what = "this is for a whole sweep; give it one value"
    elif given.startswith("~"):
        what = "~ leaves something out, and takes no values"
    elif is_list(name):
        what = "several values are for many runs, and a list of one run has brackets"
    elif is_interval(given):
        what = "this is for a search, unless its values are listed"
    else:
        what = "several values are for many runs"
    return f"{given}: {what}; did you mean: {command(arguments)}"


def command(arguments: Sequence[str]) -> str:
    """The command that was meant: of many runs only where something in it is for many."""
    if any(one in SHOWN or one.startswith("--cfg=") for one in arguments):
        return whole([*(first_of(meant(one)) for one in arguments)])
    many = any(read(meant(one)) is not None or name_of(one).startswith(MANY) for one in arguments)
    return for_many(arguments) if many or {"-m", "--multirun"} & {*arguments} else whole([*map(meant, arguments)])


def for_many(arguments: Sequence[str]) -> str:
    """The command of a sweep; of a search, where there is an interval."""
    kept = [meant(one) for one in of_many(arguments) if one not in ALONE]
    first = [] if {"-m", "--multirun"} & {*kept} else ["--multirun"]
    names, last = [name_of(one) for one in kept], list[str]()
    if any(map(is_interval, kept)) and "sweeps" not in names:
        pairs = [int(one.partition("=")[2]) for one in kept if re.fullmatch(r"data\.train_pairs=\d+", one)]
        last += [] if "hydra/sweeper" in names else [SEARCHER]
        last += [] if "data.val_pairs" in names else [f"data.val_pairs={pairs[-1] // 5 if pairs else HELD_OUT}"]
    return whole([*first, *kept, *last])


def of_many(arguments: Sequence[str]) -> list[str]:
    """The arguments with the folder of one run as that of many, unless that is there, too."""
    if any(name_of(one) == PLACES[1] for one in arguments):
        return [one for one in arguments if name_of(one) != PLACES[0]]
    return [one.replace(*PLACES, 1) if name_of(one) == PLACES[0] else one for one in arguments]


def meant(argument: str) -> str:
    """What an argument is in the command that was meant."""
    if param := PARAMS.fullmatch(argument):
        return meant(f"{param[1]}={QUOTED.sub(QUOTED_TEXT, param[2])}")
    if read(argument) is None:
        return argument
    name, (key, _, values) = name_of(argument), argument.partition("=")
    if name.startswith("hydra") or name in ("sweeps", *WHOLE):
        return first_of(argument)
    if argument.startswith("~"):
        return meant(argument.lstrip("~"))
    return f"{key}=[{values}]" if is_list(name) and not values.startswith("[") and re.fullmatch(r"[\w.,+-]+", values) else argument


def name_of(argument: str) -> str:
    """The key of an argument, without signs."""
    return argument.lstrip("+~").partition("=")[0]


def read(argument: str) -> Override | None:
    """An argument that has several values; None for any other."""
    try:
        override = OverridesParser.create().parse_override(argument)
        return override if override.is_sweep_override() else None
    except (HydraException, ValueError, RecursionError):
        return None


def is_interval(argument: str) -> bool:
    """Whether an argument has no list of values, but the ends between which they are."""
    override = read(argument)
    return override is not None and isinstance(override.value(), IntervalSweep)


def first_of(argument: str) -> str:
    """An argument with the first of its values."""
    if (override := read(argument)) is None:
        return argument
    value: Any = override.value()
    first = next(iter(override.sweep_string_iterator())) if override.is_discrete_sweep() else value.start
    if isinstance(value, ChoiceSweep) and not value.list:
        return argument
    return f"{argument.partition('=')[0]}={first.lower() if isinstance(first, str) and first in ('True', 'False') else first}"


def is_list(name: str) -> bool:
    """Whether a dotted key takes a list."""
    *path, last = name.split(".")
    kinds: list[Any] = [Config]
    for part in path:
        kinds = [kind for one in kinds for kind in ([one] if part.isdigit() else below(one, part))]
    hints = [get_type_hints(kind).get(last) for kind in kinds]
    return any(get_origin(one) in (list, tuple) for hint in hints for one in (hint, *get_args(hint)) if get_origin(hint) is not dict)


def below(kind: Any, name: str) -> Iterator[Any]:
    """The dataclasses that a key of a dataclass may have."""
    hint = get_type_hints(kind).get(name)
    yield from (one for one in (hint, *get_args(hint)) if is_dataclass(one))
    if kind is Config and name in GROUP_SCHEMAS:
        yield from (schema for _, schema in GROUP_SCHEMAS[name].usable())


def comma(error: BaseException, arguments: Sequence[str]) -> str:
    """The command that was meant by `model=net2,` and `model=net1, net2`, of which a shell makes two words; empty for any other error."""
    given = error.override if isinstance(error, OverrideParseException) else ""
    key, _, values = given.partition("=")
    if given not in arguments or not re.fullmatch(r"[\w.+-]*,[\w.,+-]*", values):
        return ""
    before, after = list(arguments[: arguments.index(given)]), list(arguments[arguments.index(given) + 1 :])
    while after and values.endswith(",") and re.fullmatch(r"[\w.,+-]+", after[0]) and not after[0].startswith("-"):
        values += after.pop(0)
    whole = ",".join(filter(None, values.split(",")))
    if PARAMS.fullmatch(given):
        return instead(given, arguments)
    return f"{given}: a value is missing beside a comma; did you mean: {command([*before, f'{key}={whole}', *after])}"
