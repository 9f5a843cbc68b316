"""``python -m digitcmp.report.ablation FOLDER``: what each rung of a ladder of runs buys, from what is on disk."""

from pathlib import Path

from digitcmp.arguments import Arguments
from digitcmp.report.command import exit_codes

DESCRIPTION = """\
Report on a ladder: runs that lead from a first configuration to a last one, one change at a time, and changes that were
tried from one of its rungs. A run's folder is named by two digits and words, as in ladder=02_weight_sharing, and is compared
with the rung before it; with a letter, as in ladder=15a_averaged_weights, with rung 15. Gains are paired by seed. Nothing is
trained and no run is touched.
"""
EXAMPLES = """\
examples:
  python -m digitcmp.report.ablation outputs/ladder
  python -m digitcmp.report.ablation outputs/ladder --out docs/results/ladder
"""


def parser() -> Arguments:
    """The command line's arguments."""
    command = "python -m digitcmp.report.ablation"
    arguments = Arguments(command, description=DESCRIPTION, epilog=EXAMPLES)
    arguments.add_argument("folder", type=Path, metavar="FOLDER", help="the folder that holds the runs of the ladder")
    arguments.add_argument("--out", type=Path, metavar="FOLDER", help="where to write, beside no runs (default: summary/ in the folder)")
    return arguments


@exit_codes()
def main() -> None:
    """Write the report, print its tables, its warnings, and where it is. Exit codes: see `exit_codes`."""
    arguments = parser().parse_args()
    from digitcmp.report.ablation.build import print_ladder, write_ladder

    print_ladder(*write_ladder(arguments.folder, arguments.out))
