"""TensorBoard: in tensorboard/ of a run's folder, seed=N/ for each round (scalars by epoch, and its configuration as hparams), and run/
with the means. `tensorboard --logdir FOLDER` shows all runs below a folder. Numbers there have single precision."""

import shutil
import time
from pathlib import Path

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.hparams import summary_v2
from tensorboard.summary.writer.record_writer import RecordWriter

from digitcmp.trackers.tracker import TrackedRun, Tracker, means, measured
from digitcmp.train.results import EpochRow, RoundRow


class TensorBoard(Tracker):
    """Event files below each run's folder."""

    def show_run(self, run: TrackedRun) -> bool:
        folder = run.directory / "tensorboard"
        gone = not folder.exists()
        folder.mkdir(exist_ok=True)
        return gone

    def show_round(self, run: TrackedRun, row: RoundRow, epochs: list[EpochRow]) -> None:
        hparams = {**run.configuration, "seed": row.seed, "status": row.status}
        events = [Event(wall_time=time.time(), summary=summary_v2.hparams_pb(hparams, trial_id=f"{run.directory.name}/{row.seed}"))]
        events += [event(epoch.epoch, measured(epoch)) for epoch in epochs]
        write(run.directory / "tensorboard" / f"seed={row.seed}", events)

    def show_end(self, run: TrackedRun, rows: list[RoundRow]) -> None:
        write(run.directory / "tensorboard" / "run", [event(len(rows), means(rows))])


def event(step: int, values: dict[str, float]) -> Event:
    """Scalars after a step."""
    return Event(
        wall_time=time.time(), step=step, summary=Summary(value=[Summary.Value(tag=tag, simple_value=v) for tag, v in values.items()])
    )


def write(folder: Path, events: list[Event]) -> None:
    """Write an event file, the only one in its folder. Not by TensorBoard's EventFileWriter: it writes in a thread, which a full disk ends
    with a trace."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    with (folder / f"events.out.tfevents.{time.time():.0f}").open("wb") as file:
        writer = RecordWriter(file)
        for one in [Event(wall_time=time.time(), file_version="brain.Event:2"), *events]:
            writer.write(one.SerializeToString())
