"""Draws the curves of a sweep's runs in a process of its own, while the next rounds are trained."""

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

MODEST = 10  # added to the niceness of the process: training comes first
PATIENCE = 1  # seconds
PACKAGES = str(Path(__file__).resolve().parents[2])  # where this package was found


class Illustrator:
    """A process that is told which runs are to be drawn. Figures that it leaves undone are drawn by `finish`."""

    def __init__(self) -> None:
        self.asked: list[Path] = []
        path = os.pathsep.join([PACKAGES, *filter(None, [os.environ.get("PYTHONPATH")])])
        command = [sys.executable, "-m", "digitcmp.report.illustrator"]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": path})

    def draw(self, directory: Path) -> None:
        """Let curves.png of this run be drawn soon."""
        self.asked.append(directory)
        try:
            assert self.process.stdin is not None
            print(directory, file=self.process.stdin, flush=True)
        except BrokenPipeError:
            return  # it has been killed

    def finish(self) -> None:
        """Wait until everything is drawn, and help where it takes long. Raises RunError when a figure cannot be drawn."""
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):
            self.process.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(PATIENCE)
        from digitcmp.report.curves import write_curves

        for directory in reversed(self.asked):
            if outdated(directory):
                write_curves(directory)
        self.process.wait()

    def stop(self) -> None:
        """Leave everything as it is."""
        self.process.kill()
        self.process.wait()


def outdated(directory: Path) -> bool:
    """Whether a run has epochs that its curves don't show."""
    try:
        return (directory / "epochs.csv").stat().st_mtime_ns > (directory / "curves.png").stat().st_mtime_ns
    except FileNotFoundError:
        return (directory / "epochs.csv").exists()


def main() -> None:
    """What the process does: draw the curves of every run whose directory it is told on stdin, until that ends."""
    from digitcmp.errors import RunError
    from digitcmp.report.curves import write_curves

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole process group; the parent decides
    if hasattr(os, "nice"):
        os.nice(MODEST)
    for line in sys.stdin:
        directory = Path(line.removesuffix("\n"))
        try:
            if outdated(directory):
                write_curves(directory)
        except RunError:
            continue  # who waits for the figure tries again, and reports it


if __name__ == "__main__":
    main()
