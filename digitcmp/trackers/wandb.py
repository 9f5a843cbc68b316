"""Weights & Biases: a group for each run, and a run for each round (figures by epoch, its configuration), and one with the means.

mode=offline (the default) writes into wandb/ of the run's folder, for `wandb sync`.

What the ids of its runs are made of is kept in the run's folder (`wandb.json`), so that every process, every resume and every export goes
on with the same ones, wherever the folder is by then.
"""

import hashlib
import json
import shutil
import sys
from contextlib import suppress
from pathlib import Path

import wandb

from digitcmp.files import read_text, write_whole
from digitcmp.trackers.tracker import TrackedRun, Tracker, means, measured
from digitcmp.train.results import EpochRow, RoundRow

FILE, SHOWN = "wandb.json", "wandb/shown.json"


class WandB(Tracker):
    """mode: offline or online; project, entity: where. Which rounds it has been given is kept beside them (`wandb/shown.json`), by where:
    a folder that was sent to the server and cleared away is not to be made again by each resume."""

    quick = False  # each round takes a process of its own

    def __init__(self, mode: str = "offline", project: str = "digitcmp", entity: str | None = None) -> None:
        super().__init__()
        self.mode, self.project, self.entity = mode, project, entity

    def show_run(self, run: TrackedRun) -> bool:
        """What there is to say is said of each of its rounds."""
        return not (run.directory / "wandb").exists()

    @property
    def where(self) -> str:
        """Where, in one word."""
        return f"{self.mode} {self.entity or ''}/{self.project}"

    def held(self, run: TrackedRun) -> dict[int, str]:
        return {int(seed): mark for seed, mark in shown_in(run.directory).get(self.where, {}).items()}

    def show_round(self, run: TrackedRun, row: RoundRow, epochs: list[EpochRow], mark: str) -> None:
        name = f"seed={row.seed}"
        there = self.mode != "offline" or self.written(run, name)
        if there and self.held(run).get(row.seed) == mark:
            return
        config = {**run.configuration, "seed": row.seed, "status": row.status, "error": row.error}
        self.show(run, name, config, [(epoch.epoch, measured(epoch)) for epoch in epochs], row.status == "failed")
        shown = shown_in(run.directory)
        shown[self.where] = {**shown.get(self.where, {}), str(row.seed): mark}
        write_whole(run.directory / SHOWN, json.dumps(shown))

    def show_end(self, run: TrackedRun, rows: list[RoundRow]) -> None:
        self.show(run, "means", {**run.configuration, "status": run.about.get("status")}, [(len(rows), means(rows))], False)

    def written(self, run: TrackedRun, name: str) -> list[Path]:
        """The folders of one run of W&B, offline."""
        return list((run.directory / "wandb").glob(f"offline-run-*-{id_of(root_of(run.directory), name)}"))

    def show(self, run: TrackedRun, name: str, config: dict[str, object], steps: list[tuple[int, dict[str, float]]], failed: bool) -> None:
        """Write one run of W&B, in place of what was written of it before. Raises what wandb raises."""
        key = id_of(root_of(run.directory), name)
        for before in self.written(run, name):
            shutil.rmtree(before)
        ends = sys.exit, sys.excepthook
        try:
            shown = wandb.init(
                project=self.project, entity=self.entity, mode=self.mode, id=key, name=f"{run.name} {name}", group=run.name, config=config,
                dir=run.directory, resume=None if self.mode == "offline" else "allow", reinit="create_new",
                settings=wandb.Settings(silent=True, disable_code=True, disable_git=True, console="off", x_disable_stats=True),
            )  # fmt: skip
            for step, values in steps:
                shown.log({"epoch": step, **values}, step=step)
            shown.finish(exit_code=int(failed))
        finally:
            sys.exit, sys.excepthook = ends  # which wandb replaces by its own, run by run, and leaves so


def shown_in(directory: Path) -> dict[str, dict[str, str]]:
    """The marks of the rounds that W&B has of a run: by where, and by seed. Nothing where nobody knows."""
    with suppress(OSError, ValueError):
        return dict(json.loads(read_text(directory / SHOWN)))
    return {}


def root_of(directory: Path) -> str:
    """What the ids of a run are made of: the path that it had when it was first shown, which its folder keeps."""
    path = directory / FILE
    if path.exists():
        return str(json.loads(read_text(path))["root"])
    root = str(directory)
    write_whole(path, json.dumps({"root": root}))
    return root


def id_of(root: str, name: str) -> str:
    """The id of one run of W&B."""
    return hashlib.sha256(f"{root} {name}".encode()).hexdigest()[:16]
