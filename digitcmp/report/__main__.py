"""``python -m digitcmp.report FOLDER…``: tables, tests and figures of all runs below some folders, from what is on disk."""

import argparse
from pathlib import Path

from digitcmp.report.command import run

DESCRIPTION = """\
Report on every run found at or below the folders: a table with intervals, comparisons paired by seed, figures, and one
HTML page. Nothing is trained and no run is touched, so that it may be used while a sweep is running.
"""
EXAMPLES = """\
examples:
  python -m digitcmp.report outputs/table1
  python -m digitcmp.report outputs/table1 --baseline net2
  python -m digitcmp.report outputs/table1 outputs/jointnet --out outputs/all
"""


def parser() -> argparse.ArgumentParser:
    """The command line's arguments."""
    formats = argparse.RawDescriptionHelpFormatter
    arguments = argparse.ArgumentParser("python -m digitcmp.report", description=DESCRIPTION, epilog=EXAMPLES, formatter_class=formats)
    arguments.add_argument("folders", nargs="+", type=Path, metavar="FOLDER", help="a run's folder, or one that holds runs at any depth")
    arguments.add_argument(
        "--baseline", metavar="LABEL", help="compare with this configuration, named as in the table or by hash (default: the first)"
    )
    arguments.add_argument("--out", type=Path, metavar="FOLDER", help="where to write (default: summary/ in the first folder)")
    return arguments


def report(arguments: argparse.Namespace) -> None:
    """Write the report, print its table, its warnings, and where it is."""
    from digitcmp.report.build import make_report
    from digitcmp.report.terminal import print_report

    print_report(make_report(arguments.folders, arguments.baseline, arguments.out))


def main() -> None:
    """Run the command line. Ends with exit code 0; 1 for an error, told in one line on stderr; 130 for Ctrl-C."""
    run(lambda: report(parser().parse_args()))


if __name__ == "__main__":
    main()
