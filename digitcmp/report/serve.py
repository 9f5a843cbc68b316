"""``python -m digitcmp.report FOLDER --serve``: the report as a page that renews itself while rounds are trained.

One thread reads what is on disk, and works the report out again where rounds have ended since. It spends a small part of a processor on
that, however long it takes: others train there. Nothing is written.
"""

import json
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from digitcmp.counting import counted
from digitcmp.errors import DigitcmpError, RunError
from digitcmp.inert import line, visible
from digitcmp.localhost import LocalServer, as_json, html
from digitcmp.report.page.html import message_page
from digitcmp.runs.status import FolderStatus, read_status
from digitcmp.runs.status_view import left
from digitcmp.screen import complain

LOOKS = 2.0  # seconds from one look at the disk to the next
RENEWS = 10.0  # seconds from one report to the next, at least
SHARE = 10  # so many times as long as looking or working out has taken is waited after it
WAITS = 2.0  # seconds for the thread to end
POLICY = "object-src 'none'"  # what else its pages may do stands in them

Make = Callable[[int], str]  # the page of this version; raises DigitcmpError where there is none


class LiveReport:
    """The page, and how far the rounds are; works while it is entered.

    page: the last one, of this version; progress: a line and two counts for each folder; lost: a line for each folder that cannot be read
    any more, which is shown as it was.
    """

    def __init__(self, folders: Sequence[Path], make: Make, looks: float = LOOKS, renews: float = RENEWS) -> None:
        """looks, renews: see LOOKS, RENEWS. Raises RunError for folders without anything that was begun or planned."""
        self.folders, self.make, self.looks, self.renews = folders, make, looks, renews
        self.title = ", ".join(visible(folder.resolve().name) for folder in folders)
        self.statuses = [read_status(folder) for folder in folders]
        self.lost: dict[Path, str] = {}
        self.version, self.page = 0, message_page(self.title, "The report is being made.", 0)
        self.ended = threading.Event()
        self.seen: list[tuple[Any, ...]] | None = None  # what the page was made of, or could not be
        self.thread = threading.Thread(target=self.work, name="digitcmp-report", daemon=True)

    def __enter__(self) -> "LiveReport":
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        self.thread.join(WAITS)

    def state(self) -> dict[str, Any]:
        """What the page asks for again and again: its version, and how far the rounds are. Raises RunError where nobody looks any more."""
        if not self.thread.is_alive():
            raise RunError("the report is not renewed any more; the terminal says why")
        lost = [visible(text) for text in self.lost.values()]
        return {"version": self.version, "lost": lost, "progress": [progress(status) for status in self.statuses]}

    def work(self) -> None:
        """Look at the disk, and renew the page, until it is over."""
        rest = due = 0.0
        while not self.ended.wait(rest):
            began = time.monotonic()
            changed = self.look()
            rest = max(self.looks, SHARE * (time.monotonic() - began))
            if changed and time.monotonic() >= due:
                began = time.monotonic()
                self.renew()
                due = time.monotonic() + max(self.renews, SHARE * (time.monotonic() - began))

    def look(self) -> bool:
        """See how far the rounds are; whether the page is older than that. A folder that cannot be read any more stays as it was, and so
        does the page; the page and, once, the terminal say so."""
        lost = dict[Path, str]()
        for number, folder in enumerate(self.folders):
            try:
                self.statuses[number] = read_status(folder)
            except (DigitcmpError, OSError) as error:
                lost[folder] = f"{error}; what is shown of it is what was there before"
        for folder in lost.keys() - self.lost.keys():
            complain(line(lost[folder]))
        self.lost = lost
        return not lost and stamp(self.statuses) != self.seen

    def renew(self) -> None:
        """Work the report out again; what keeps it from that stands in the page."""
        self.seen, version = stamp(self.statuses), self.version + 1
        try:
            page = self.make(version)
        except (DigitcmpError, OSError) as error:
            page = message_page(self.title, f"There is no report yet: {error}", version)
        self.page, self.version = page, version


def stamp(statuses: Sequence[FolderStatus]) -> list[tuple[Any, ...]]:
    """What a report changes with: the runs, all that run.json says of each (as the commands that have asked for it, by which the baseline
    is chosen), and which of their rounds have ended."""
    runs = [run for status in statuses for run in status.runs]
    return [(run.folder, run.state, run.done, run.failed, run.accuracy, json.dumps(run.about, sort_keys=True)) for run in runs]


def progress(status: FolderStatus) -> dict[str, Any]:
    """A line about a folder; its rounds that have ended, and all."""
    counts = status.counts
    parts = [f"{counts['done']} of {counted(sum(counts.values()), 'round')} done"]
    parts += [f"{counts[kind]} {kind}" for kind in ("running", "failed", "dead") if counts[kind]]
    parts += filter(None, [left(status)])
    return {
        "text": visible(f"{status.folder}: {', '.join(parts)}"),
        "done": counts["done"] + counts["failed"],
        "total": sum(counts.values()),
    }


def report_server(report: LiveReport, port: int) -> LocalServer:
    """A server for the page. Raises OSError where another program listens at this port."""
    routes = {"GET /": lambda _: html(report.page.encode()), "GET /state": lambda _: as_json(report.state())}
    return LocalServer(port, routes, POLICY)
