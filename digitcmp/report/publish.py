"""What is published of a report: its tables and figures, and the runs themselves, so that `digitcmp.verify` can train them again."""

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from digitcmp.counting import some
from digitcmp.errors import RunError
from digitcmp.experiment.claims import at_work
from digitcmp.experiment.published import write_published
from digitcmp.experiment.records import Records
from digitcmp.files import read_text, write_whole
from digitcmp.report.build import Report, drawings, tables
from digitcmp.report.manuscript import told_wide
from digitcmp.report.places import check_report_folder
from digitcmp.report.rendering import render
from digitcmp.report.snapshot import Snapshot
from digitcmp.report.study import Study
from digitcmp.report.verdicts import plan_paths

FOLDER = "runs"
# a path from the root or the home folder, which says something about a machine; not the middle of a relative one
PATH = re.compile(r"(?<![\w.~])~?/[^\s'\"|,;:]+")


def publish(
    results: Study, snapshot: Snapshot, folders: Sequence[Path], target: Path, manuscript_columns: Sequence[str] | None = None
) -> Report:
    """Write the tables and PNG figures into the target, and in its runs/ a folder per run; the same bytes for the same runs.

    snapshot: what the results were made from. folders: where the runs are. Paths of this machine are left out of commands and errors.
    Raises RunError for runs that are being trained, when the target lies in a folder or around it, when it holds other runs, or when it
    cannot be written.
    """
    runs = dict(zip(map(Path, results.sweep.runs["directory"]), map(str, results.sweep.runs["run"]), strict=True))
    check_target(target, folders, set(runs.values()))
    check_ended(target, list(runs))
    texts = tables(results, manuscript_columns)
    for name, text in texts.items():
        write_whole(target / name, without_paths(text))
    for name, draw in drawings(results).items():
        write_whole(target / f"{name}.png", render(draw(), "png"))
    abouts = dict(snapshot.runs)
    for directory, name in runs.items():
        publish_run(abouts[directory], snapshot.records_of(directory, abouts[directory]), target / FOLDER / name)
        for plan in plan_paths([directory]):
            inside = target / FOLDER / name
            place = inside if plan.parent == directory else inside.parent if Path(name).parent.name else target
            write_whole(place / plan.name, read_text(plan))
    return Report(target, results, told_wide(texts))


def check_target(target: Path, folders: Sequence[Path], runs: set[str]) -> None:
    """Raise RunError where something else than these runs would be in the target, or they would be found twice."""
    check_report_folder("--publish", target, folders)
    there = {path.parent.relative_to(target / FOLDER).as_posix() for path in (target / FOLDER).rglob("run.json")}
    if others := sorted(there - runs):
        raise RunError(f"--publish {target}: its {FOLDER}/ holds other runs ({some(others)}); remove them, or choose another folder")


def check_ended(target: Path, runs: Sequence[Path]) -> None:
    """Raise RunError where a process trains some of these runs: what is published is to stay as it is."""
    busy = []
    for run in runs:
        with suppress(OSError):  # nobody can tell, in a folder that others may only read
            busy += [str(run)] if at_work(run) else []
    if busy:
        raise RunError(f"--publish {target}: a process is training rounds of {some(busy)}; publish them when it has ended")


def publish_run(about: dict[str, Any], records: Records, target: Path) -> None:
    """Write the folder of one run. about: its run.json."""
    about = dict(about)
    for name in ("data_root", "hosts", "slurm", "changes"):  # of the machine, or of a file that is not published
        about.pop(name, None)
    if "command" in about:
        about["command"] = without_paths(about["command"])
    rounds = [replace(record, row=replace(record.row, error=without_paths(record.row.error))) for record in records.rounds.values()]
    write_published(target, about, rounds)


def without_paths(text: str) -> str:
    """A text with PATH for every path from the root or the home folder of a machine."""
    return PATH.sub("PATH", text)
