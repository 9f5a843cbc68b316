"""Who is told about the epochs of rounds while these are trained, whichever engine trains them."""

from collections.abc import Callable
from dataclasses import dataclass

from digitcmp.errors import DigitcmpError, Pruned, RunError
from digitcmp.experiment.progress import Display
from digitcmp.train.results import EpochRow
from digitcmp.train.round import Task, Watch

Judge = Callable[[Task, EpochRow], bool]


@dataclass
class Audience:
    """The display, and a judge who may end the run of a round: it returns False for that. None: nobody ends a run early."""

    display: Display
    judge: Judge | None = None

    @property
    def listens(self) -> bool:
        """Whether somebody wants to be told about epochs, and not only about results."""
        return self.display.live or self.judge is not None

    def hear(self, task: Task, row: EpochRow) -> bool:
        """Tell everybody about an epoch of this task, in the parent process; False when the task is to be stopped."""
        self.display.note(task.place, row)
        if self.judge is None:
            return True
        try:
            return self.judge(task, row)
        except DigitcmpError:
            raise
        except Exception as error:  # not to be taken for an error of the round
            raise RunError(f"what watches the epochs of the rounds failed: {type(error).__name__}: {error}") from error

    def say(self, line: str) -> None:
        """Tell whoever looks at the screen."""
        self.display.console.print(line, style="yellow", markup=False, highlight=False, soft_wrap=True)

    def watch(self, task: Task) -> Watch:
        """What a round that is trained in this process calls after every epoch. Raises Pruned when the round is to be stopped."""

        def note(row: EpochRow) -> None:
            if not self.hear(task, row):
                raise Pruned(f"seed {task.seed} was stopped after epoch {row.epoch}")

        return note
