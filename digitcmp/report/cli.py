"""``python -m digitcmp.report FOLDER…``: tables, tests and figures of all runs below some folders, from what is on disk."""

import argparse
from pathlib import Path
from typing import Any

from digitcmp.arguments import Arguments
from digitcmp.errors import RunError
from digitcmp.localhost import add_options, check_port, serve
from digitcmp.report.command import exit_codes
from digitcmp.report.metrics import MANUSCRIPT_COLUMNS, MANUSCRIPT_DEFAULT, METRICS, TEST_ACCURACY, Metric, find_metric
from digitcmp.report.renaming import Names, splits

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
  python -m digitcmp.report outputs/table1 --serve
"""
PORT = 8766


def parser() -> Arguments:
    """The command line's arguments."""
    arguments = Arguments("python -m digitcmp.report", description=DESCRIPTION, epilog=EXAMPLES)
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
        help='call a configuration otherwise, as in net1="Model 1" or "net2 lr=0.4=Model 2": LABEL ends where a label of the table does; '
        "repeatable",
    )
    arguments.add_argument(
        "--columns",
        metavar="A,B,…",
        help=f"columns of table_paper.tex, of {', '.join(MANUSCRIPT_COLUMNS)} "
        f"(default: {','.join(MANUSCRIPT_DEFAULT)}, and lost where rounds were, if it fits)",
    )
    arguments.add_argument("--compare", action="store_true", help="compare also the runs of one folder that were not begun together")
    arguments.add_argument("--different-data", action="store_true", help="compare also what was trained or tested on different pairs")
    arguments.add_argument("--curves", action="store_true", help="draw the missing curves.png of every run, also where there are over 100")
    where = arguments.add_mutually_exclusive_group()
    where.add_argument(
        "--out",
        type=Path,
        metavar="FOLDER",
        help="where to write, beside no runs (default: summary/ in the first folder, summary/COLUMN/ for a metric)",
    )
    where.add_argument(
        "--publish",
        type=Path,
        metavar="FOLDER",
        help="write what is published instead: tables, figures, and the rounds themselves, for digitcmp.verify",
    )
    where.add_argument(
        "--serve",
        action="store_true",
        help="write nothing: show the page in a browser, on this machine alone, renewed while rounds are trained",
    )
    add_options(arguments, PORT)
    return arguments


def print_searches(abouts: list[tuple[Path, dict[str, Any]]]) -> bool:
    """Say how the searches among these runs stand; False where there is none."""
    from digitcmp.report.searching import print_search, read_searches

    searches = read_searches(abouts)
    for search in searches:
        print_search(search)
    return bool(searches)


def serve_report(arguments: argparse.Namespace, metric: Metric, names: Names) -> None:
    """Serve the page until Ctrl-C. Raises RunError for folders without runs, and for a port that is taken."""
    from digitcmp.report.build import live_page
    from digitcmp.report.serve import LiveReport, report_server

    def make(version: int) -> str:
        from digitcmp.report.frames import read_abouts

        if is_list(arguments, read_abouts(arguments.folders, for_report=False, notes=[])):
            raise RunError("these runs were not begun together; --compare compares them all the same")
        return live_page(arguments.folders, arguments.baseline, metric, names, arguments.different_data, version)

    check_port(arguments.port)
    with LiveReport(arguments.folders, make) as report:
        serve(lambda port: report_server(report, port), arguments.port, arguments.open)


def is_list(arguments: argparse.Namespace, abouts: list[tuple[Path, dict[str, Any]]]) -> bool:
    """Whether these runs are listed, as nobody has asked for their comparison."""
    from digitcmp.report.origins import are_unrelated
    from digitcmp.report.runs import was_tested

    return not arguments.compare and are_unrelated([run for run in abouts if was_tested(run[1])], arguments.folders)


def print_runs(arguments: argparse.Namespace, metric: Metric) -> None:
    """List the runs, which nobody has begun together. Raises RunError where something was asked for that comparisons have alone."""
    from digitcmp.report.frames import read_sweep
    from digitcmp.report.listing import print_list, runs_listed, write_list
    from digitcmp.report.origins import summary_of
    from digitcmp.report.places import check_report_folder

    for name in ("publish", "baseline", "rename", "columns"):
        if value := getattr(arguments, name):
            told, what = (value[0] if isinstance(value, list) else value), "publish" if name == "publish" else "compare"
            raise RunError(f"--{name} {told}: these runs were not begun together; add --compare to {what} them all the same")
    sweep = read_sweep(arguments.folders, columns=(), for_report=True, distinct=False)  # a list is of runs
    frame = runs_listed(sweep, metric)
    if arguments.out:
        check_report_folder("--out", arguments.out, arguments.folders, summaries=True)
    print_list(sweep, frame, metric, write_list(frame, metric, arguments.out or summary_of(arguments.folders, TEST_ACCURACY)))


@exit_codes()
def main() -> None:
    """Write the report, print its table, its warnings, and where it is; of a search, how it stands; of runs that nobody has begun
    together, a list. Exit codes: see `exit_codes`."""
    arguments = parser().parse_args()
    metric, names = find_metric(arguments.metric), arguments.rename
    for pair in names:
        splits(pair)  # what is none is told before anything is read
    columns = None if arguments.columns is None else arguments.columns.split(",")
    if not arguments.serve and (arguments.open or arguments.port != PORT):
        raise RunError("--port and --open are for --serve")
    if arguments.serve:
        serve_report(arguments, metric, names)
        return
    from digitcmp.experiment.folders import find_runs
    from digitcmp.report.build import make_report
    from digitcmp.report.curves import draw_outdated
    from digitcmp.report.frames import read_abouts
    from digitcmp.report.runs import was_tested
    from digitcmp.report.terminal import print_report

    if arguments.curves:  # first, as runs that were not tested have curves, but no report
        draw_outdated(run for folder in arguments.folders for run in find_runs(folder))
    abouts = read_abouts(arguments.folders, for_report=False, notes=[])
    if print_searches(abouts) and not any(was_tested(about) for _, about in abouts):
        return
    if is_list(arguments, abouts):
        print_runs(arguments, metric)
        return
    if arguments.publish:
        from digitcmp.report.publish import publish
        from digitcmp.report.snapshot import Snapshot
        from digitcmp.report.study import study

        results = study(arguments.folders, arguments.baseline, metric, names, arguments.different_data, snapshot := Snapshot())
        print_report(publish(results, snapshot, arguments.folders, arguments.publish, columns))
        return
    print_report(make_report(arguments.folders, arguments.baseline, arguments.out, metric, names, columns, arguments.different_data))
