"""The loop of rounds=auto: train a batch, look, go on with those that are not decided. See `digitcmp.auto.sequential` for the method.

Nothing is remembered between looks but what is on record: whoever goes on with a sweep takes all looks again, from the first, and finds
what was trained for them. So a sweep that was stopped, or that several processes train together, ends as any other.
"""

import shlex
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from rich.console import Console

from digitcmp.auto import plan_file
from digitcmp.auto.sequential import Plan, look_at, scores
from digitcmp.auto.words import look_line, rule_lines
from digitcmp.experiment.callbacks import Callback
from digitcmp.experiment.progress import ProgressDisplay
from digitcmp.experiment.run import Run
from digitcmp.experiment.scheduler import train
from digitcmp.terminal import tell
from digitcmp.trackers.attached import Attached

POLL = 0.5  # seconds between looks at what other processes are doing


def train_auto(
    runs: Sequence[Run], folder: Path, callbacks: Sequence[Callback], console: Console, on_decided: Callable[[Run], None] = lambda _: None
) -> None:
    """Train runs, the first one being the baseline, until every other one is decided. on_decided: gets each when it has all its rounds.

    folder: where the plan is kept. Raises what `digitcmp.experiment.scheduler.train` raises, and RunError when the folder has another plan.
    """
    plan = plan_file.make(runs, folder)
    plan_file.write(plan, folder)
    for line in rule_lines(plan):
        console.print(line, markup=False, highlight=False)
    with Attached(partial(tell, console)) as attached:
        take_looks(plan, runs, [*callbacks], attached, console, on_decided)
    on_decided(runs[0])


def take_looks(
    plan: Plan, runs: Sequence[Run], callbacks: list[Callback], attached: Attached, console: Console, on_decided: Callable[[Run], None]
) -> None:
    """Train and look until all are decided. attached: what their configurations ask for, made once for all looks."""
    by_hash = {run.store.configuration_hash: run for run in runs}
    going_on = plan.compared
    for rounds in plan.looks:
        train_to(rounds, [by_hash[name] for name in plan.runs if name in {plan.baseline, *going_on}], callbacks, attached, console)
        found = {name: scores(run.store.rows.values()) for name, run in by_hash.items()}
        taken = [look_at(plan, found, name, rounds) for name in going_on]
        console.print(look_line(plan, taken), markup=False, highlight=False)
        for look in taken:
            if look.verdict and look.configuration != plan.baseline:
                on_decided(by_hash[look.configuration])
        going_on = [look.configuration for look in taken if not look.verdict]
        if not going_on:
            return


def train_to(rounds: int, runs: Sequence[Run], callbacks: Sequence[Callback], attached: Attached, console: Console) -> None:
    """Train so many rounds of each run, and wait for those that another process has."""
    for run in runs:
        run.extend(rounds)
        run.command = of_rounds(run.command, len(run.seeds))
    while True:
        with ProgressDisplay.of(runs, console) as display:
            train(runs, [display, *callbacks], lent=attached)
        away = [run for run in runs if run.elsewhere]
        while any(run.elsewhere for run in away) and not any(run.look_again() for run in away):
            time.sleep(POLL)
        if not any(run.missing or run.elsewhere for run in runs):
            return


def of_rounds(command: str, rounds: int) -> str:
    """The command that trains the same again, whatever it is compared with: with a number of rounds, and without what rules rounds=auto."""
    words = [(word, word.lstrip("+").partition("=")[0]) for word in shlex.split(command)]
    kept = [f"rounds={rounds}" if key == "rounds" else word for word, key in words if key.partition(".")[0] != "auto"]
    return shlex.join(kept)
