"""MLflow: a parent run for each run (configuration, means, status) and a nested one for each round (figures by epoch).

The parent's id is kept in the run's folder (`mlflow.json`), so that every process and every resume goes on with the same one, for as long
as MLflow has it.
"""

import json
import logging
import os
import time
from collections import Counter
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

from digitcmp.files import locked, read_text, write_whole
from digitcmp.passwords import without_passwords
from digitcmp.trackers.sqlite_file import check_uri, file_of, is_half_made, make_whole
from digitcmp.trackers.tracker import TrackedRun, Tracker, means, measured
from digitcmp.train.results import EpochRow, RoundRow

# a server that is down is given up soon, as training waits for it; whoever wants more patience says so
PATIENCE = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "10"}
for variable, seconds in PATIENCE.items():
    os.environ.setdefault(variable, seconds)

from mlflow import MlflowClient  # noqa: E402
from mlflow.entities import LifecycleStage, Metric, Param  # noqa: E402
from mlflow.entities import Run as MlflowRun  # noqa: E402
from mlflow.exceptions import MlflowException  # noqa: E402

logging.getLogger("mlflow").setLevel(logging.WARNING)  # it tells of every table of a new database

FILE = "mlflow.json"
MARK = "digitcmp.record"  # the tag of a round that says which record it shows
MOST_PARAMS, MOST_METRICS, MOST_RUNS = 100, 1000, 1000  # in one request
LONGEST = 500  # characters of a value
ENDS = {"done": "FINISHED", "failed": "FAILED", "running": "RUNNING", "interrupted": "KILLED", "pruned": "KILLED"}


class MLflow(Tracker):
    """uri: where (null: MLFLOW_TRACKING_URI, or mlflow.db in the working folder); experiment: in which one. Raises ConfigError
    for a file that is probably not the one that was meant."""

    def __init__(self, uri: str | None = None, experiment: str = "digitcmp") -> None:
        super().__init__()
        self.uri = uri or os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{Path.cwd() / 'mlflow.db'}"
        check_uri("callbacks.mlflow.uri" if uri else "MLFLOW_TRACKING_URI", self.uri)
        self.experiment = experiment
        self.parents: dict[Path, str] = {}  # the ids of the parent runs, by folder, once they are shown
        self.told = False

    @cached_property
    def client(self) -> MlflowClient:
        """Made when it is first needed: it makes the database, which a dry run is not to leave. Two processes cannot make the tables of
        one at a time. Raises LookupError for one that a process of an earlier version was killed over."""
        if (path := file_of(self.uri)) is None:
            return MlflowClient(self.uri)
        with locked(path.with_name(f".{path.name}.lock")):
            make_whole(path)
            try:
                return MlflowClient(self.uri)
            except Exception as error:  # whatever its tables make mlflow raise
                if not is_half_made(path):
                    raise
                raise LookupError(
                    f"{path} is half made, as where a process was killed meanwhile, or of another program: no experiment is in it; "
                    "move it away, and it is made anew"
                ) from error

    @cached_property
    def experiment_id(self) -> str:
        """The id of the experiment, which is made where there is none. Raises what mlflow raises."""
        if found := self.client.get_experiment_by_name(self.experiment):
            if found.lifecycle_stage == LifecycleStage.DELETED:  # its name is taken until it is gone for good
                raise LookupError(
                    f"the experiment {self.experiment} is deleted there; mlflow experiments restore --experiment-id {found.experiment_id}, "
                    "or give another experiment"
                )
            return str(found.experiment_id)
        try:
            return str(self.client.create_experiment(self.experiment))
        except MlflowException as error:
            found = self.client.get_experiment_by_name(self.experiment)
            if error.error_code != "RESOURCE_ALREADY_EXISTS" or not found:  # which another process has made meanwhile
                raise
            return str(found.experiment_id)

    def show_run(self, run: TrackedRun) -> bool:
        path, key = run.directory / FILE, without_passwords(f"{self.uri} {self.experiment}")
        known: dict[str, Any] = json.loads(read_text(path)) if path.exists() else {}
        known = {without_passwords(place): parent for place, parent in known.items()}  # earlier versions kept them
        parent = self.find(str(before)) if (before := known.get(key)) else None
        if before and parent is None:
            self.lose(run, str(before))
        if made := parent is None:
            parent = self.cut_off(run) or self.make(run)
            write_whole(path, json.dumps({**known, key: parent.info.run_id}))
        self.parents[run.directory] = str(parent.info.run_id)
        self.bring_up(run, parent)
        return made

    def make(self, run: TrackedRun) -> MlflowRun:
        """A parent run, by name and tags."""
        tags = {"digitcmp.folder": str(run.directory), "digitcmp.hash": str(run.about.get("configuration_hash"))}
        tags |= {f"digitcmp.{name}": str(run.about[name]) for name in ("command", "git_commit", "tags") if run.about.get(name)}
        return self.client.create_run(self.experiment_id, run_name=run.name, tags=tags)

    def bring_up(self, run: TrackedRun, parent: MlflowRun) -> None:
        """Give a parent run the parameters that it may lack, as where a process was killed in the middle, and say that a run goes on."""
        if len(parent.data.params) < len(run.configuration):
            params = [Param(key, str(value)[:LONGEST]) for key, value in run.configuration.items()]
            for some in chunks(params, MOST_PARAMS):
                self.client.log_batch(parent.info.run_id, params=some)
        if run.about.get("status") == "running" and parent.info.status != "RUNNING":
            self.client.update_run(parent.info.run_id, "RUNNING")

    def find(self, parent: str) -> MlflowRun | None:
        """The run of this id; None where it was deleted, or where another database is at this place by now."""
        try:
            found = self.client.get_run(parent)
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            return None
        return found if found.info.lifecycle_stage == LifecycleStage.ACTIVE else None

    def cut_off(self, run: TrackedRun) -> MlflowRun | None:
        """The parent run that a process has made which was killed before it could say so in the run's folder: it has no parameters yet."""
        query = f"tags.`digitcmp.hash` = '{run.about.get('configuration_hash')}'"
        alike = self.client.search_runs([self.experiment_id], query)
        return next((one for one in alike if not one.data.params and one.data.tags.get("digitcmp.folder") == str(run.directory)), None)

    def lose(self, run: TrackedRun, parent: str) -> None:
        """Say, once for all runs, that MLflow has this parent no longer, and delete the rounds that it may have left behind."""
        if not self.told:
            self.told = True
            self.tell(
                f"{run.directory}: MLflow does not have its run {parent} any more (deleted there, or another database): it is made anew, "
                "with its rounds, as is all that is gone there"
            )
        while left := self.client.search_runs([self.experiment_id], f"tags.`mlflow.parentRunId` = '{parent}'"):
            for one in left:
                self.client.delete_run(one.info.run_id)

    def held(self, run: TrackedRun) -> dict[int, str]:
        query = f"tags.`mlflow.parentRunId` = '{self.parents[run.directory]}'"
        found: list[tuple[int, str]] = []
        more: str | None = ""
        while more is not None:
            page = self.client.search_runs([self.experiment_id], query, max_results=MOST_RUNS, page_token=more or None)
            found += [(int(one.data.tags.get("digitcmp.seed", -1)), mark_in(one)) for one in page]
            more = page.token or None
        once = Counter(seed for seed, _ in found)
        return {seed: mark for seed, mark in found if mark and once[seed] == 1}

    def show_round(self, run: TrackedRun, row: RoundRow, epochs: list[EpochRow], mark: str) -> None:
        parent = self.parents[run.directory]
        query = f"tags.`mlflow.parentRunId` = '{parent}' and tags.`digitcmp.seed` = '{row.seed}'"
        known = self.client.search_runs([self.experiment_id], query)
        whole = next((one for one in known if mark_in(one) in (mark, row.status)), None)
        for one in known:
            if one is not whole:
                self.client.delete_run(one.info.run_id)  # cut off in the middle, or trained again after a failure
        if whole:
            return
        tags = {"mlflow.parentRunId": parent, "digitcmp.seed": str(row.seed), "digitcmp.error": row.error[:LONGEST], MARK: mark}
        made = self.client.create_run(self.experiment_id, run_name=f"seed={row.seed}", tags=tags).info.run_id
        now = int(1000 * time.time())
        metrics = [Metric(name, value, now, epoch.epoch) for epoch in epochs for name, value in measured(epoch).items()]
        for some in chunks(metrics, MOST_METRICS):
            self.client.log_batch(made, metrics=some)
        self.client.set_terminated(made, ENDS[row.status])

    def show_end(self, run: TrackedRun, rows: list[RoundRow]) -> None:
        parent, now = self.parents[run.directory], int(1000 * time.time())
        self.client.log_batch(parent, metrics=[Metric(name, value, now, len(rows)) for name, value in means(rows).items()])
        if (status := ENDS.get(str(run.about.get("status")), "RUNNING")) == "RUNNING":
            self.client.update_run(parent, status)
        else:
            self.client.set_terminated(parent, status)


def mark_in(run: MlflowRun) -> str:
    """The mark of a round that is there and whole, its status where an earlier version has shown it; empty for one that is cut off."""
    status = {"FINISHED": "done", "FAILED": "failed"}.get(run.info.status, "")
    return run.data.tags.get(MARK, status) if status else ""


def chunks(items: list[Any], size: int) -> Iterator[list[Any]]:
    """These items, so many at a time."""
    for begin in range(0, len(items), size):
        yield items[begin : begin + size]
