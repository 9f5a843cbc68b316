"""``python -m digitcmp.schema [KIND]``: what the keys of a YAML file take, for an editor."""

from pathlib import Path

from digitcmp.arguments import Arguments
from digitcmp.files import write_whole
from digitcmp.report.command import exit_codes
from digitcmp.schema.files import KINDS, as_text

DESCRIPTION = """\
Print a JSON schema (draft 7) of the YAML files: every key with its type, its range and its meaning. An editor that knows it completes keys,
explains them and marks what is wrong while it is typed. Nothing is trained, and torch is not needed.

kinds of files:
  run                     conf/config.yaml, a recipe, a rung of the ladder, a sweep
  model, optimizer, scheduler, data, augment, callbacks
                          a choice of the group of that name
"""
EXAMPLES = """\
examples:
  python -m digitcmp.schema model > model.json
  python -m digitcmp.schema --write my_conf/schema
a YAML file names its schema in a comment at its top, with a path from itself:
  # yaml-language-server: $schema=../schema/model.json
below `# @package _global_`, where it has that line.
"""


def parser() -> Arguments:
    """The command line's arguments."""
    arguments = Arguments("python -m digitcmp.schema", description=DESCRIPTION, epilog=EXAMPLES)
    arguments.add_argument("kind", nargs="?", default="run", choices=KINDS, metavar="KIND", help="the kind of file (default: run)")
    arguments.add_argument("--write", type=Path, metavar="FOLDER", help="write those of all kinds into this folder, KIND.json each")
    return arguments


@exit_codes("nothing was written")
def main() -> None:
    """Print a schema, or write all. Exit codes: see `exit_codes`."""
    arguments = parser().parse_args()
    if arguments.write is None:
        print(as_text(arguments.kind), end="")
        return
    for kind in KINDS:
        print(write_whole(arguments.write / f"{kind}.json", as_text(kind)))
