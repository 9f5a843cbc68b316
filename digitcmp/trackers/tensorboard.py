"""TensorBoard: in tensorboard/ of a run's folder, seed=N/ for each round (scalars by epoch, and its configuration as hparams), and run/
with the means. `tensorboard --logdir FOLDER` shows all runs below a folder. Numbers there have single precision.
"""

import re
import shutil
import time
from pathlib import Path

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.hparams import summary_v2
from tensorboard.summary.writer.record_writer import RecordWriter

from digitcmp.trackers.tracker import TrackedRun, Tracker, means, measured
from digitcmp.train.results import EpochRow, RoundRow

FOLDER, PART = "tensorboard", "being_written"  # a file of that name is none of TensorBoard's yet
ROUND = re.compile(r"seed=(\d+)/events\.out\.tfevents\.\d+\.(\w+)")


class TensorBoard(Tracker):
    """Event files below each run's folder. The name of a round's file ends with the mark of what is on record, and is given to it when it
    is whole."""

    def show_run(self, run: TrackedRun) -> bool:
        folder = run.directory / FOLDER
        gone = not folder.exists()
        folder.mkdir(exist_ok=True)
        return gone

    def held(self, run: TrackedRun) -> dict[int, str]:
        folder = run.directory / FOLDER
        found = (ROUND.fullmatch(path.relative_to(folder).as_posix()) for path in folder.glob("seed=*/*"))
        return {int(one[1]): one[2] for one in found if one}

    def show_round(self, run: TrackedRun, row: RoundRow, epochs: list[EpochRow], mark: str) -> None:
        folder = run.directory / FOLDER / f"seed={row.seed}"
        if list(folder.glob(f"events.out.tfevents.*.{mark}")):
            return
        hparams = {**run.configuration, "seed": row.seed, "status": row.status}
        events = [Event(wall_time=time.time(), summary=summary_v2.hparams_pb(hparams, trial_id=f"{run.directory.name}/{row.seed}"))]
        events += [event(epoch.epoch, measured(epoch)) for epoch in epochs]
        write(folder, events, mark)

    def show_end(self, run: TrackedRun, rows: list[RoundRow]) -> None:
        write(run.directory / FOLDER / "run", [event(len(rows), means(rows))], "means")


def event(step: int, values: dict[str, float]) -> Event:
    """Scalars after a step."""
    return Event(
        wall_time=time.time(), step=step, summary=Summary(value=[Summary.Value(tag=tag, simple_value=v) for tag, v in values.items()])
    )


def write(folder: Path, events: list[Event], mark: str) -> None:
    """Write an event file, the only one in its folder, whole or not at all. Not by TensorBoard's EventFileWriter: it writes in a thread,
    which a full disk ends with a trace."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    with (folder / PART).open("wb") as file:
        writer = RecordWriter(file)
        for one in [Event(wall_time=time.time(), file_version="brain.Event:2"), *events]:
            writer.write(one.SerializeToString())
    (folder / PART).rename(folder / f"events.out.tfevents.{time.time():.0f}.{mark}")
