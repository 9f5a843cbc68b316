"""``python -m digitcmp.new KIND NAME``: a commented file to start from, in a folder of the user's own."""

import re
import shlex
from pathlib import Path

from digitcmp.arguments import Arguments
from digitcmp.errors import ConfigError
from digitcmp.files import shipped, write_whole
from digitcmp.names import check_folder
from digitcmp.report.command import exit_codes
from digitcmp.terminal import Terminal, say

TEMPLATES = Path(__file__).parent / "templates"
KINDS = {"model": "a network", "augment": "an augmentation, its strengths changed", "data": "a data set", "plugins": "code of your own"}
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
VALUES = ("true", "false", "null", "nan", "inf", "yes", "no", "on", "off")  # words that Hydra or YAML takes for a value
PARTS = ("augment=dim", "data=mirrored", "model.tower=[{channels: 8}, {kind: scaled}]")  # what is in plugins.py
PLUGINS = "plugins.py"  # beside the YAML files; its name is not chosen
DESCRIPTION = """\
Write a commented file to start from: model, augment and data are YAML; plugins is plugins.py, with a block, an augmentation and a data set.
Nothing that is there is overwritten.
"""
EXAMPLES = """\
examples:
  python -m digitcmp.new model mine
  python -m digitcmp.new augment strong --in my_conf
  python -m digitcmp.new plugins
"""


def parser() -> Arguments:
    """The command line's arguments."""
    arguments = Arguments("python -m digitcmp.new", description=DESCRIPTION, epilog=EXAMPLES)
    arguments.add_argument("kind", choices=KINDS, help="; ".join(f"{kind}: {what}" for kind, what in KINDS.items()))
    arguments.add_argument("name", nargs="?", help="how it is chosen, as in model=NAME")
    arguments.add_argument("--in", dest="folder", type=Path, default=Path("my_conf"), metavar="FOLDER", help="where (default: my_conf)")
    return arguments


def make(kind: str, name: str | None, folder: Path) -> Path:
    """Write the file. Raises ConfigError for a name that is none or taken, and where there is such a file; RunError where it cannot be
    written."""
    if (name is None) != (kind == "plugins"):
        raise ConfigError(
            f"{kind}: give it a name, as in {kind} mine" if name is None else f"plugins {name}: it is {PLUGINS}; leave {name} out"
        )
    check_folder("--in", folder)
    if name is not None and not NAME.fullmatch(name):
        raise ConfigError(f"{kind} {name}: a choice's name has letters (a to z), digits and _ alone, a letter first")
    if name is not None and name.lower() in VALUES:
        raise ConfigError(f"{kind} {name}: this word is a value, and names no choice; choose another name")
    if (shipped("conf") / f"{kind}/{name}.yaml").is_file():
        raise ConfigError(f"{kind} {name}: digitcmp has one of this name, which would be taken; choose another name")
    path = folder / (PLUGINS if name is None else f"{kind}/{name}.yaml")
    if path.exists() or path.is_symlink():
        raise ConfigError(f"{path}: there is such a file, which stays as it is; choose another name, or another folder with --in")
    text = (TEMPLATES / f"{kind}.txt").read_text(encoding="utf-8")
    filled = {"COMMAND": command(kind, name, folder), "FOLDER": str(folder), "NAME": name or ""}
    return write_whole(path, re.sub("|".join(filled), lambda word: filled[word[0]], text))


def command(kind: str, name: str | None, folder: Path) -> str:
    """The one that takes the file, as a shell reads it."""
    code = ["--allow-code", str(folder / PLUGINS)] if kind == "plugins" else []
    chosen = [*PARTS] if kind == "plugins" else [f"{kind}={name}", *(["aux_weight=1"] if kind == "model" else [])]  # it has a digit head
    return shlex.join(["python", "-m", "digitcmp", "--config-dir", str(folder), *code, *chosen])


@exit_codes("nothing was written")
def main() -> None:
    """Write it, and say what comes next."""
    arguments = parser().parse_args()
    path, console = make(arguments.kind, arguments.name, arguments.folder), Terminal()
    say(console, str(path), "written  ")
    say(console, command(arguments.kind, arguments.name, arguments.folder), "try      ")
