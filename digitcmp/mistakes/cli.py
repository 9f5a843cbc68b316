"""``python -m digitcmp.mistakes RUN_DIR``: which test pairs a run's networks answer wrongly, and what they read in them."""

from pathlib import Path

from digitcmp.arguments import Arguments
from digitcmp.errors import RunError
from digitcmp.experiment.warned import warn_of_code
from digitcmp.report.command import exit_codes

DESCRIPTION = """\
Ask the networks that a run has kept (save_model=true, and single runs of up to ten rounds) about their test pairs again, and write the
pairs that they answer wrongly: mistakes.csv, mistakes.pdf, .png and .svg with those of which they were surest, and confusion.pdf, .png and
.svg: which digits are read as which, and which pairs are answered wrongly. Nothing is trained.
"""
EXAMPLES = """\
examples:
  python -m digitcmp.mistakes outputs/decoder
  python -m digitcmp.mistakes outputs/decoder --rounds 100 --out mistakes
"""


def parser() -> Arguments:
    """The command line's arguments."""
    arguments = Arguments("python -m digitcmp.mistakes", description=DESCRIPTION, epilog=EXAMPLES)
    arguments.add_argument("run", type=Path, metavar="RUN_DIR", help="a run's folder, with its run.json and records")
    arguments.add_argument("--rounds", type=int, default=10, metavar="N", help="how many of its rounds, the first ones (default: 10)")
    arguments.add_argument("--out", type=Path, metavar="FOLDER", help="where to write (default: the run's folder)")
    arguments.add_argument(
        "--root", metavar="FOLDER", help="data.root (default: that of the run, where it is there; DIGITCMP_DATA, or data)"
    )
    return arguments


@exit_codes("no round was touched")
def main() -> None:
    """Find the mistakes, write their files, and print what there is to say about them. Exit codes: see `exit_codes`."""
    arguments = parser().parse_args()
    if arguments.rounds < 1:
        raise RunError(f"--rounds={arguments.rounds}: must be a whole number, at least 1")
    warn_of_code(arguments.run, needs=("blocks", "data"))
    from digitcmp.mistakes.find import find
    from digitcmp.mistakes.output import print_findings, write

    findings = find(arguments.run, arguments.rounds, arguments.root)
    print_findings(findings, write(findings, arguments.run if arguments.out is None else arguments.out))
