"""``python -m digitcmp.report FOLDER…``: tables, tests and figures of all runs below some folders, from what is on disk."""

import argparse
from pathlib import Path

from digitcmp.errors import RunError
from digitcmp.inert import storable
from digitcmp.report.command import exit_codes
from digitcmp.report.metrics import MANUSCRIPT_COLUMNS, MANUSCRIPT_DEFAULT, METRICS, TEST_ACCURACY, find_metric
from digitcmp.screen import Help

DESCRIPTION = """\
Report on every run found at or below the folders: a table with intervals, comparisons paired by seed, figures, and one
HTML page. Nothing is trained, and runs get nothing but their curves.png, so that it may be used while a sweep is running.
"""
EXAMPLES = """\
examples:
  python -m digitcmp.report outputs/table1
  python -m digitcmp.report outputs/table1 --baseline net2
  python -m digitcmp.report outputs/table1 --metric digit_accuracy
  python -m digitcmp.report outputs/table1 outputs/jointnet --out outputs/all
  python -m digitcmp.report outputs/table1 --publish docs/results/table1
"""


def parser() -> argparse.ArgumentParser:
    """The command line's arguments."""
    arguments = argparse.ArgumentParser("python -m digitcmp.report", description=DESCRIPTION, epilog=EXAMPLES, formatter_class=Help)
    arguments.add_argument("folders", nargs="+", type=Path, metavar="FOLDER", help="a run's folder, or one that holds runs at any depth")
    arguments.add_argument(
        "--baseline", metavar="LABEL", help="compare with this configuration, named as in the table or by hash (default: the first)"
    )
    arguments.add_argument(
        "--metric", default=TEST_ACCURACY.column, metavar="COLUMN", help=f"what to report on: {', '.join(METRICS)} (default: %(default)s)"
    )
    arguments.add_argument(
        "--rename",
        action="append",
        default=[],
        metavar="LABEL=NAME",
        help='call a configuration otherwise, as in net1="Model 1"; repeatable',
    )
    arguments.add_argument(
        "--columns",
        default=",".join(MANUSCRIPT_DEFAULT),
        metavar="A,B,…",
        help=f"columns of table_paper.tex, of {', '.join(MANUSCRIPT_COLUMNS)} (default: %(default)s)",
    )
    arguments.add_argument("--curves", action="store_true", help="draw the missing curves.png of every run, also where there are over 100")
    where = arguments.add_mutually_exclusive_group()
    where.add_argument(
        "--out", type=Path, metavar="FOLDER", help="where to write (default: summary/ in the first folder, summary/COLUMN/ for a metric)"
    )
    where.add_argument(
        "--publish",
        type=Path,
        metavar="FOLDER",
        help="write what is published instead: tables, figures, and the rounds themselves, for digitcmp.verify",
    )
    return arguments


def names_of(pairs: list[str]) -> dict[str, str]:
    """What --rename says. Raises RunError for what is no LABEL=NAME; the last equals sign parts them, as labels have some."""
    for pair in pairs:
        if not all(pair.rpartition("=")[::2]):
            raise RunError(f"--rename {pair}: this is not LABEL=NAME, as in net1='Model 1'")
    return {label: storable(name) for label, _, name in (pair.rpartition("=") for pair in pairs)}


@exit_codes()
def main() -> None:
    """Write the report, print its table, its warnings, and where it is. Exit codes: see `exit_codes`."""
    arguments = parser().parse_args()
    metric, names, columns = find_metric(arguments.metric), names_of(arguments.rename), arguments.columns.split(",")
    from digitcmp.report.build import make_report
    from digitcmp.report.curves import draw_outdated
    from digitcmp.report.runs import find_runs
    from digitcmp.report.terminal import print_report

    if arguments.curves:  # first, as runs that were not tested have curves, but no report
        draw_outdated(run for folder in arguments.folders for run in find_runs(folder))
    if arguments.publish:
        from digitcmp.report.publish import publish
        from digitcmp.report.study import study

        results = study(arguments.folders, arguments.baseline, metric, names)
        print_report(publish(results, arguments.folders, arguments.publish, columns))
        return
    print_report(make_report(arguments.folders, arguments.baseline, arguments.out, metric, names, columns))
