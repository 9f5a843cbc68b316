"""The bar of a notebook: what `digitcmp.experiment.progress` shows in a terminal, as an element of a cell's output."""

import time
from html import escape
from importlib import import_module
from typing import Any

from rich.progress import TaskID

from digitcmp.inert import line
from digitcmp.terminal import words

OFTEN = 0.2  # seconds from one look to the next; each is a message to the browser


class NotebookBar:
    """One line with a bar, brought up to date in its place; what it has come to stays, without the bar. Used as rich's `Progress` is, with
    one task."""

    def __init__(self) -> None:
        self.title, self.fields = "", dict[str, Any]()
        self.handle: Any = None
        self.begun = self.shown = 0.0

    def add_task(self, description: str, **fields: Any) -> TaskID:
        """What the line is about."""
        self.title, self.fields = description, {"completed": 0, "total": None, **fields}
        return TaskID(0)

    def start(self) -> None:
        """Show it."""
        self.begun = time.monotonic()
        shown = import_module("IPython.display")
        self.handle = shown.display(shown.HTML(self.html()), display_id=True)

    def update(self, task: TaskID, **fields: Any) -> None:
        """Bring it up to date, unless that was done just now."""
        del task
        self.fields |= fields
        if self.handle is not None and time.monotonic() - self.shown >= OFTEN:
            self.show(self.html())

    def stop(self) -> None:
        """What it has come to."""
        if self.handle is not None:
            self.show(self.html(over=True))

    def show(self, text: str) -> None:
        """Put it in its place."""
        self.shown = time.monotonic()
        self.handle.update(import_module("IPython.display").HTML(text))

    def html(self, over: bool = False) -> str:
        """The line as an element. over: nothing more is to come."""
        done, total = self.fields["completed"], self.fields["total"]
        spent = time.monotonic() - self.begun
        left = f"{words(spent * (total - done) / done)} left" if done and total else ""
        texts = [f"{self.title}:", self.fields["count"], self.fields["figures"], *([] if over else [left])]
        bar = "" if over or not total else f'<progress value="{done:.6g}" max="{total:.6g}"></progress> '
        return f'<div role="status">{bar}{escape(" · ".join(line(str(text)) for text in texts if text).replace(": · ", ": "))}</div>'
