"""``python -m digitcmp.new KIND NAME``: a commented file to start from, in a folder of the user's own."""

from pathlib import Path

from digitcmp.arguments import Arguments
from digitcmp.errors import ConfigError
from digitcmp.files import shipped, write_whole
from digitcmp.names import check_folder
from digitcmp.report.command import exit_codes
from digitcmp.terminal import Terminal, say

TEMPLATES = Path(__file__).parent / "templates"
KINDS = {"model": "a network", "augment": "an augmentation, its strengths changed", "data": "a data set", "plugins": "code of your own"}
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
    if name is not None and not name.isidentifier():
        raise ConfigError(f"{kind} {name}: a choice's name has letters, digits and _ alone, a letter first")
    if (shipped("conf") / f"{kind}/{name}.yaml").is_file():
        raise ConfigError(f"{kind} {name}: digitcmp has one of this name, which would be taken; choose another name")
    path = folder / (PLUGINS if name is None else f"{kind}/{name}.yaml")
    if path.exists() or path.is_symlink():
        raise ConfigError(f"{path}: there is such a file, which stays as it is; choose another name, or another folder with --in")
    text = (TEMPLATES / f"{kind}.txt").read_text(encoding="utf-8")
    return write_whole(path, text.replace("NAME", name or "").replace("FOLDER", str(folder)))


@exit_codes("nothing was written")
def main() -> None:
    """Write it, and say what comes next."""
    arguments = parser().parse_args()
    path, console = make(arguments.kind, arguments.name, arguments.folder), Terminal()
    say(console, str(path), "written  ")
    given = f"--config-dir {arguments.folder}" + (f" --allow-code {path}" if arguments.kind == "plugins" else "")
    chosen = "--help-choices" if arguments.kind == "plugins" else f"{arguments.kind}={arguments.name}"
    say(console, f"python -m digitcmp {given} {chosen}", "try      ")
