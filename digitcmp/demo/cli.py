"""``python -m digitcmp.demo RUN_DIR…``: draw two digits, and see what networks say of them."""

from pathlib import Path

from digitcmp.arguments import Arguments
from digitcmp.experiment.kept import kept_seed
from digitcmp.experiment.warned import warn_of_code
from digitcmp.localhost import add_options, check_port, serve
from digitcmp.report.command import exit_codes

DESCRIPTION = """\
Open a page to draw two digits on, or to have a random pair of test images, and see live what networks that runs have kept
(save_model=true, and single runs of up to ten rounds) say of them. Only this machine can reach it. Ctrl-C ends it.
"""
EXAMPLES = """\
examples:
  python -m digitcmp.demo outputs/wsn
  python -m digitcmp.demo outputs/net2 outputs/wsn --port 8800
"""
PORT = 8765


def parser() -> Arguments:
    """The command line's arguments."""
    arguments = Arguments("python -m digitcmp.demo", description=DESCRIPTION, epilog=EXAMPLES)
    arguments.add_argument("runs", type=Path, nargs="+", metavar="RUN_DIR", help="the folder of a run, with its run.json and networks")
    add_options(arguments, PORT)
    arguments.add_argument(
        "--root", metavar="FOLDER", help="data.root of the random pairs (default: that of the first run, where it is there)"
    )
    return arguments


@exit_codes()
def main() -> None:
    """Serve the page until Ctrl-C. Exit codes: see `exit_codes`."""
    arguments = parser().parse_args()
    check_port(arguments.port)
    for run in arguments.runs:
        warn_of_code(run)
        kept_seed(run)  # told before torch is loaded
    from digitcmp.demo.networks import Networks
    from digitcmp.demo.server import Server

    networks = Networks(arguments.runs, arguments.root)
    serve(lambda port: Server(networks, port), arguments.port, arguments.open)
