"""The names of networks in files of one's own: one that starts from another file has that one's name, unless it has its own."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from rich.console import Console

from digitcmp.files import shipped
from digitcmp.terminal import tell


def borrowed_name(runtime: Any, name: str) -> str:
    """That the chosen network has the name of another choice, in a line; empty for one of ours, and for one with a name of its own.

    runtime: hydra.runtime of what was composed; name: model.name.
    """
    chosen = str(runtime.choices.get("model") or "")
    if not chosen or name == chosen or (shipped("conf") / "model" / f"{chosen}.yaml").is_file():
        return ""
    folders = [Path(source.path) for source in runtime.config_sources if source.schema == "file"]
    if not any((folder / "model" / f"{name}.yaml").is_file() for folder in folders):
        return ""
    return f"model={chosen}: its name is {name}, as that of another network; name: {chosen} in its file would tell them apart in tables"


def print_borrowed(lines: Iterable[str], console: Console) -> None:
    """Say each of these lines once; empty ones are left out."""
    for text in dict.fromkeys(filter(None, lines)):
        tell(console, text)
