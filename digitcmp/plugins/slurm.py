"""The Hydra launcher that has rounds trained by an array of Slurm: `hydra/launcher=slurm`, with the keys `slurm.*`.

The array's tasks run the same command with digitcmp's own launcher into the same folder. What they have left there is then what this
launcher finds on record, so that everything else is as it is without Slurm. Imports no torch.
"""

import json
import os
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.types import Quote, QuotedString
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn
from omegaconf import DictConfig, OmegaConf

from digitcmp.config.allowed import code_let_in
from digitcmp.config.overrides import overrides_of
from digitcmp.config.rules import auto_together
from digitcmp.config.schema import Slurm
from digitcmp.config.several import for_many
from digitcmp.counting import counted
from digitcmp.errors import ConfigError, RunError
from digitcmp.experiment import slurm
from digitcmp.experiment.run import Run
from digitcmp.experiment.slurm_array import Array, Progress
from digitcmp.plugins.composing import key_of
from digitcmp.plugins.launcher import DigitcmpLauncher
from digitcmp.plugins.sweeper import TYPED
from digitcmp.terminal import Terminal

DATA = "DIGITCMP_DATA"  # where data are
CHECKPOINT = 10  # epochs, where nothing else was asked for
OWN = re.compile(r"hydra/launcher|hydra\.sweep\.dir|dry_run|slurm(\..+)?")  # keys that a task gets others of, or none


@dataclass
class SlurmConfig:
    """`hydra/launcher=slurm`."""

    _target_: str = "digitcmp.plugins.slurm.SlurmLauncher"


class SlurmLauncher(DigitcmpLauncher):
    """Trains nothing itself."""

    here = False
    sent = False

    @property
    def options(self) -> Slurm:
        """What an array asks for."""
        options = OmegaConf.to_object(self.config.slurm)
        assert isinstance(options, Slurm)
        return options

    def script(self, options: Slurm) -> str:
        """That of the array."""
        given = [argument for argument in sys.argv[1:] if not OWN.fullmatch(key_of(argument))]
        where = QuotedString(str(self.folder), Quote.single).with_quotes()
        own = ["hydra/launcher=digitcmp", f"hydra.sweep.dir={where}"]
        if self.config.checkpoint_every is None and "checkpoint_every" not in map(key_of, given):
            own.insert(0, f"checkpoint_every={CHECKPOINT}")  # a task may end at any moment
        command = [sys.executable, "-m", "digitcmp", *code_let_in(), *given, *own]
        # of this environment a task may have nothing (sbatch --export=NONE), nor has whoever submits the script again
        data = {name: os.environ[name] for name in (DATA,) if name in os.environ}
        return slurm.script(options, self.folder.name, command, Path.cwd(), {TYPED: self.typed, **data})

    @property
    def typed(self) -> str:
        """What this command was given, for the tasks to put on record (`digitcmp.plugins.sweeper.as_typed`)."""
        told = {name: overrides_of(self.config.hydra, name) for name in ("hydra", "task")}
        return json.dumps({name: [one for one in given if key_of(one) != "dry_run"] for name, given in told.items()})

    def elsewhere(self, runs: Sequence[Run]) -> None:
        auto = auto_together([run.config for run in runs])
        if self.sent or not (auto or any(run.missing for run in runs)):
            return
        array = self.send(lambda: recorded(runs, auto))
        for run in runs:
            run.look_after_others()
        missing, asked = (sum(map(len, seeds)) for seeds in ((run.missing for run in runs), (run.seeds for run in runs)))
        if auto and 0 not in array.codes().values():
            raise RunError(f"the runs are not told apart yet: {array.endings()}; the same command goes on")
        if missing and not auto:
            raise RunError(f"{missing} of {counted(asked, 'round')} are missing: {array.endings()}; the same command goes on")

    def search_elsewhere(self) -> None:
        """Let the array make a search. Raises what `elsewhere` raises."""
        array = self.send(lambda: Progress(counted(len(list(self.folder.glob("trial_*/run.json"))), "trial") + " begun"))
        if 0 not in array.codes().values():
            raise RunError(f"the search has not come to its end: {array.endings()}; the same command goes on")

    def send(self, progress: Callable[[], Progress]) -> Array:
        """Submit the array, and wait for its end. progress: see `Array.wait`.

        Raises ConfigError and RunError where it cannot be submitted, SystemExit(0) where nobody is to wait.
        """
        console, options = Terminal(), self.options
        array = Array(slurm.submit(options, self.folder, self.script), self.folder)
        tasks = f"{counted(options.tasks, 'task')}, logs in {self.folder / slurm.FOLDER}"
        console.print(f"submitted as {array.name}: {tasks} ({array.scancel} ends it)", soft_wrap=True)
        if not options.wait:
            raise SystemExit(0)
        try:
            array.wait(progress, console)
        except KeyboardInterrupt:
            raise KeyboardInterrupt(f"{array.name} {'go' if len(array.jobs) > 1 else 'goes'} on ({array.scancel} ends it)") from None
        self.sent = True
        return array

    def side_by_side(self, rounds: int) -> int:
        """How many of these rounds would be trained at a time, if nobody else were there. Raises what `slurm.reach` raises."""
        return min(min(self.options.tasks, slurm.places(self.options)) * self.options.cpus, rounds)

    def show_plan(self, runs: list[Run], workers: int | None = None) -> list[JobReturn]:
        del workers
        returns = super().show_plan(runs, self.side_by_side(sum(len(run.seeds) for run in runs)))
        self.show_script()
        return returns

    def show_script(self) -> None:
        """Print what would be submitted, and what Slurm says of it. Raises what `slurm.submit` raises."""
        (told,), console = slurm.submit(self.options, self.folder, self.script, test=True), Terminal()
        script = self.script(self.options)
        console.print(f"sbatch would be given, in {self.folder}:", script, f"Slurm says: {told}", sep="\n", soft_wrap=True)


def recorded(runs: Sequence[Run], auto: bool) -> Progress:
    """How many rounds are on record, of how many where anybody knows."""
    for run in runs:
        run.store.refresh()
    if auto:
        return Progress(counted(sum(len(run.store.records.rounds) for run in runs), "round"))
    done, asked = sum(len(run.rows) for run in runs), sum(len(run.seeds) for run in runs)
    return Progress(f"{done} of {counted(asked, 'round')}", complete=done == asked)


def check_given(hydra: DictConfig, multirun: bool) -> None:
    """Raise ConfigError for keys of Slurm that would mean nothing."""
    chosen = hydra.runtime.choices.get("hydra/launcher") == "slurm"
    given = [text for text in overrides_of(hydra) if text.startswith("slurm.")]
    if chosen and not multirun:
        raise ConfigError(f"hydra/launcher=slurm: an array is many processes; add --multirun, as in: {for_many(sys.argv[1:])}")
    if given and not chosen:
        raise ConfigError(f"{given[0]}: this is for hydra/launcher=slurm (with --multirun); add it, or leave this out")


def register() -> None:
    """Make the launcher known to Hydra."""
    ConfigStore.instance().store(group="hydra/launcher", name="slurm", node=SlurmConfig, provider="digitcmp", replace=True)
    Plugins.instance().register(SlurmLauncher)
