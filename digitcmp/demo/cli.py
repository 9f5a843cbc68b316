"""``python -m digitcmp.demo RUN_DIR…``: draw two digits, and see what networks say of them."""

import argparse
from pathlib import Path

from digitcmp.errors import RunError
from digitcmp.report.command import exit_codes
from digitcmp.screen import Help

DESCRIPTION = """\
Open a page to draw two digits on, or to have a random pair of test images, and see live what networks that runs have kept
(save_model=true, and single runs of up to ten rounds) say of them. Only this machine can reach it. Ctrl-C ends it.
"""
EXAMPLES = """\
examples:
  python -m digitcmp.demo outputs/wsn
  python -m digitcmp.demo outputs/net2 outputs/wsn --port 8800
"""
PORT, LARGEST_PORT = 8765, 65_535


def parser() -> argparse.ArgumentParser:
    """The command line's arguments."""
    arguments = argparse.ArgumentParser("python -m digitcmp.demo", description=DESCRIPTION, epilog=EXAMPLES, formatter_class=Help)
    arguments.add_argument("runs", type=Path, nargs="+", metavar="RUN_DIR", help="the folder of a run, with its run.json and networks")
    arguments.add_argument("--port", type=int, default=PORT, metavar="N", help="where the page is; 0 for any (default: %(default)s)")
    arguments.add_argument("--open", action="store_true", help="open it in the browser")
    arguments.add_argument(
        "--root", metavar="FOLDER", help="data.root of the random pairs (default: that of the first run, where it is there)"
    )
    return arguments


@exit_codes("the page has gone")
def main() -> None:
    """Serve the page until Ctrl-C. Exit codes: see `exit_codes`."""
    arguments = parser().parse_args()
    if not 0 <= arguments.port <= LARGEST_PORT:
        raise RunError(f"--port {arguments.port}: must be from 0 to {LARGEST_PORT:,}")
    from digitcmp.demo.networks import Networks
    from digitcmp.demo.server import Server
    from digitcmp.terminal import Terminal, say

    networks = Networks(arguments.runs, arguments.root)
    try:
        server = Server(networks, arguments.port)
    except OSError as error:
        raise RunError(f"--port {arguments.port}: {error.strerror}; give another, or 0 for any that is free") from error
    console = Terminal()
    say(console, server.url, "the page  ")
    say(console, "Ctrl-C ends it")
    if arguments.open:
        import webbrowser

        webbrowser.open(server.url)
    with server:
        server.serve_forever()
