"""What `--help`, `--help-choices`, `--help-sweeps` and `--help-keys` list: groups, choices and keys, as they are composed."""

import re
from collections.abc import Iterator
from dataclasses import MISSING as NO_DEFAULT
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from hydra._internal.hydra import Hydra
from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from hydra.plugins.config_source import ConfigSource
from omegaconf import MISSING, DictConfig, OmegaConf

from digitcmp import screen
from digitcmp.config.blocks import BLOCKS, LAYERS
from digitcmp.config.schema import CHOSEN_BY, GROUP_SCHEMAS, Config, range_in_words
from digitcmp.counting import counted
from digitcmp.files import shipped
from digitcmp.plugins import packages
from digitcmp.plugins.packages import PackageSource
from digitcmp.search.config import TARGET, SearchConfig

WITH = {"auto": "rounds=auto", "ray": "engine=ray", "slurm": "hydra/launcher=slurm"}  # keys that matter with one value of another
CHOSEN = ("model", "optimizer", "scheduler", "data", "augment")  # groups of which every run has a choice
OTHERS = ("loss", "stopping")  # parts that every run has and that are no groups
KEY_GROUPS = (*WITH, *CHOSEN, *OTHERS)  # whose keys have sections of their own
ADDED = ("experiment", "ladder", "sweeps")  # groups that are added with a plus sign
GROUP_COLUMN, CHOICE_COLUMN, KEY_COLUMN = 15, 21, 26


def loader() -> ConfigLoader:
    """What finds groups and their choices, those of a folder given with --config-dir included."""
    return GlobalHydra.instance().config_loader()


def group_names() -> list[str]:
    """The groups that have choices, in the order in which they are met."""
    order = {name: place for place, name in enumerate((*CHOSEN, *ADDED))}
    names = [name for name in loader().list_groups("") if name not in ("hydra", "schema") and choices_of(name)]
    return sorted(names, key=lambda name: (order.get(name, len(CHOSEN)), name))


def hydra_groups(self: Hydra, parent: str = "") -> list[str]:
    """Hydra's own groups, for --hydra-help: all that it lists itself. It would go through every folder below --config-dir for that, and
    round and round behind a link to one that it lies in."""
    del parent
    return [f"hydra/{name}" for name in self.config_loader.list_groups("hydra")]


def register() -> None:
    """Let Hydra list groups so."""
    Hydra.list_all_config_groups = hydra_groups  # type: ignore[method-assign]


def choices_of(group: str) -> list[str]:
    """The choices of a group; none of a folder that nobody may look into."""
    try:
        return loader().get_group_options(group)
    except OSError:
        return []


def written(group: str) -> str:
    """A group as it is typed."""
    return group if group in CHOSEN else f"+{group}"


def groups() -> str:
    """A line per group, with as many of its choices as it holds."""
    room = max(screen.width() - GROUP_COLUMN, 40)  # in a narrower terminal they are wrapped
    lines = []
    for group in group_names():
        own = {path.stem for path in (shipped("conf") / group).glob("*.yaml")}
        names = sorted(loader().get_group_options(group), key=lambda name: name in own)  # those of the user's own folder first
        numbered = all(name[0].isdigit() for name in names)  # the rungs of a ladder
        lines.append(screen.row(written(group), f"{names[0]} … {names[-1]}" if numbered else screen.as_many(names, room), GROUP_COLUMN))
    lines += [screen.row(name, said, GROUP_COLUMN) for name, said in packages.shown()]
    return "\n".join(lines)


def choices(*names: str) -> str:
    """Every choice of these groups, of all without a name, and what it is."""
    sections = []
    for group in names or group_names():
        column = CHOICE_COLUMN if group != "ladder" else KEY_COLUMN
        rows = [screen.row(choice, meaning(group, choice), column) for choice in loader().get_group_options(group)]
        sections.append("\n".join([f"{written(group)}=", *rows]))
    return "\n\n".join(sections)


def meaning(group: str, choice: str) -> str:
    """The first sentence of the comment that a choice's file opens with; empty where there is none."""
    sources = loader().get_sources()
    offering = [str(source.package) for source in sources if isinstance(source, PackageSource) and source.is_config(f"{group}/{choice}")]
    by = f" ({' and '.join(offering)})" if offering else ""
    folders = [folder / group for source in sources if (folder := folder_of(source)) is not None]
    folders += [shipped("sweeps")] if group == "sweeps" else []
    file = next((path for folder in folders if (path := folder / f"{choice}.yaml").is_file()), None)
    if file is None:
        return by.strip()
    comment = re.match(r"(?:#.*\n)*", file.read_text(encoding="utf-8"))
    lines = [line.lstrip("# ") for line in (comment[0] if comment else "").splitlines()]
    text = " ".join(
        line
        for line in lines
        if not line.startswith(("@package", "yaml-language-server", f"python -m digitcmp --multirun +sweeps={choice}"))
    )
    return re.split(r"(?<=[\w)%])\. (?=[A-Z(])", text)[0].removesuffix(".") + by


def folder_of(source: ConfigSource) -> Path | None:
    """The folder of YAML files that a source reads; None for one that reads none."""
    if isinstance(source, PackageSource):
        return source.package.folder
    return Path(source.path.removeprefix("file://")) if source.scheme() == "file" else None


def keys(root: DictConfig) -> str:
    """Every key with its value in what was composed, what it means and what it takes: a section per group. Those of some groups alone,
    where the footer of the screen names them."""
    asked = dict.fromkeys(str(root.hydra.help.footer).split())
    own = [] if asked else list(rows(Config, root, "", groups=False))
    parts = {
        "what is trained": [text for text, execution in own if not execution],
        "where and how: these change no number of a round": [text for text, execution in own if execution],
    }
    hints = get_type_hints(Config)
    for group in asked or KEY_GROUPS:
        schema = type_of(group, root[group]) or hints[group]
        chosen = group if group in OTHERS else f"{group}={root.hydra.runtime.choices.get(group, '')}"
        title = f"with {WITH[group]}" if group in WITH else chosen
        parts[title] = [text for text, _ in rows(schema, root[group], f"{group}.")]
        parts |= layers(schema, f"{group}.")
        parts |= {
            f"with {group}={choice} also": [text for text, _ in rows(other, None, f"{group}.", without=schema)]
            for choice, other in (GROUP_SCHEMAS[group].usable() if group in GROUP_SCHEMAS else ())
        }
    if root.hydra.sweeper.get("_target_") == TARGET and not asked:
        parts["hydra/sweeper=digitcmp_optuna"] = [text for text, _ in rows(SearchConfig, root.hydra.sweeper, "hydra.sweeper.")]
    return "\n\n".join("\n".join([title, *lines]) for title, lines in parts.items() if lines)


def type_of(group: str, values: DictConfig) -> type | None:
    """The dataclass of what was chosen from a group whose choices bring keys of their own."""
    kinds = GROUP_SCHEMAS[group].usable() if group in GROUP_SCHEMAS else ()
    return next((kind for _, kind in kinds if kind is OmegaConf.get_type(values)), None)


def rows(node: Any, values: Any, prefix: str, groups: bool = True, without: Any = None) -> Iterator[tuple[str, bool]]:
    """The keys of a dataclass, those of its parts included: a row each, and whether it is an execution key.

    values: the composed ones, None for defaults. groups: whether parts are gone into. without: leave out the keys that this one has.
    """
    hints = get_type_hints(node)
    left_out = {item.name for item in fields(without)} if without else set()
    for item in fields(node):
        if item.name in left_out or item.name.startswith("_"):
            continue
        default = item.default if item.default_factory is NO_DEFAULT else item.default_factory()
        value = default if values is None else OmegaConf.select(values, item.name)
        if is_dataclass(hints[item.name]):
            if groups:
                yield from rows(hints[item.name], value, f"{prefix}{item.name}.")
            continue
        fixed = item.name == CHOSEN_BY.get(prefix.removesuffix("."))
        if not fixed:
            yield (
                explained(f"{prefix}{item.name}={shown(item.name, value, hints[item.name])}", item.metadata),
                bool(item.metadata.get("execution")),
            )


def layers(node: Any, prefix: str) -> dict[str, list[str]]:
    """The keys of the layers that lists of a dataclass and of its parts hold: by which lists these are, a row per key."""
    found: dict[str, list[str]] = {}
    kinds: dict[Any, list[str]] = {}
    for kind, path in lists_of(node, prefix):
        kinds.setdefault(kind, []).append(path)
    for kind, lists in kinds.items():
        found[f"each {entry_of(kind, lists[0])} of {', '.join(lists)}"] = [text for text, _ in rows(kind, None, "")]
        found[f"blocks for a layer of {lists[0]}, and which of its keys each reads"] = list(blocks(kind))
    return found


def blocks(layer: type) -> Iterator[str]:
    """The blocks that such a layer can be made of: a row for each, and one per key of its options."""
    for name, block in BLOCKS.usable():
        if LAYERS[block.of] is layer:
            package = BLOCKS.package_of(name)
            told = filter(None, [block.help, f"of {package}" if package else ""])
            read = ", ".join(key for key in block.read if key not in ("kind", "options"))
            yield screen.row(f"kind={name}", "; ".join([*told, f"reads {read}"]), KEY_COLUMN)
            yield from (text for text, _ in (rows(block.options, None, "  options.") if block.options else ()))


def lists_of(node: Any, prefix: str) -> Iterator[tuple[Any, str]]:
    """The lists of layers in a dataclass and its parts: what each holds, and its key."""
    for name, hint in get_type_hints(node).items():
        if is_dataclass(hint):
            yield from lists_of(hint, f"{prefix}{name}.")
        elif get_origin(hint) is list and is_dataclass(kind := get_args(hint)[0]):
            yield kind, f"{prefix}{name}"
            yield from lists_of(kind, f"{prefix}{name}.")


def explained(lead: str, metadata: Any) -> str:
    """A row: the key and its value, what it means, and what it takes."""
    takes = range_in_words(metadata)
    return screen.row(lead, metadata["help"] + (f" ({takes})" if takes else ""), KEY_COLUMN)


def entry_of(kind: Any, key: str) -> str:
    """What an entry of a list is called, by what it is, or by its key: layer, head (of aux_heads), group, term."""
    return "layer" if kind in LAYERS.values() else re.split(r"[._]", key)[-1].removesuffix("s")


def shown(key: str, value: Any, hint: Any) -> str:
    """A key's value as it is typed; layers and other parts by their number."""
    if OmegaConf.is_config(value):
        value = OmegaConf.to_container(value)
    if isinstance(value, list | tuple):
        kind = (get_args(hint) or (None,))[0]
        return counted(len(value), entry_of(kind, key)) if is_dataclass(kind) else f"[{','.join(map(str, value))}]"
    if isinstance(value, dict):
        return "{…}" if value else "{}"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return "" if value == MISSING else str(value)
