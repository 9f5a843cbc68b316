"""The small table at the end of a run."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from rich.console import Console
from rich.table import Table
from rich.text import Text

from digitcmp.config.targets import TARGETS
from digitcmp.counting import counted
from digitcmp.experiment.planned import spans
from digitcmp.inert import line
from digitcmp.report.metrics import DECIMALS, is_untrained
from digitcmp.report.runs import round_frame, was_tested
from digitcmp.terminal import say

if TYPE_CHECKING:
    from digitcmp.experiment.run import Run

FILES = ("run.json", "rounds.csv", "epochs.csv", "curves.png", "records", "digitcmp.log")
STRETCHES = 3  # of seeds in a line
SOME_ROUNDS = 10  # enough for a first impression
UNTOLD = "aux_weight=0: nothing tells it which digits these are"
JOINT = "a joint head is right about at most one of two different digits"
NARROW = 20  # columns that a value needs beside its name


def summary_rows(about: dict[str, Any], rounds: pd.DataFrame) -> list[tuple[str, str]]:
    """Names and values of the table, worked out from a run's records."""
    done, seeds, configuration = rounds[rounds["status"] == "done"], about["seeds"], about["configuration"]
    model, optimizer, data, aux_weight = (configuration[name] for name in ("model", "optimizer", "data", "aux_weight"))
    stretches = [f"{first} to {last}" if first < last else f"{first}" for first, last in spans(sorted(seeds))]
    many = f"{len(done)} of {len(seeds)} done, seeds {', '.join(stretches[:STRETCHES])}{', …' * (len(stretches) > STRETCHES)}"
    measured = (
        counted(data["test_pairs"], "test pair")
        if was_tested(about)
        else f"{counted(data['val_pairs'], 'validation pair')}, test pairs unseen"
    )
    members = configuration.get("ensemble", 1)  # runs of earlier versions have one
    rows = [
        ("network", f"{model['name']}, {about['parameters']:,} parameters" + (f" in {members} networks" if members > 1 else "")),
        (
            "training",
            f"{counted(configuration['epochs'], 'epoch')}, {optimizer['algorithm']} at {optimizer['lr']:g}, aux_weight {aux_weight:g}",
        ),
        ("data", f"{data['source']}, {data['train_pairs'] - data['val_pairs']} training and {measured}"),
        ("rounds", many if len(seeds) > 1 else f"seed {seeds[0]}"),
    ]
    for name, title in (("test_accuracy", "test accuracy"), ("val_accuracy", "validation accuracy"), ("digit_accuracy", "digit accuracy")):
        values = done[name].dropna()
        if len(values):
            note = about_head(model, aux_weight) if name == "digit_accuracy" else ""
            rows.append((title, mean_and_deviation(values) + note))
        if name == "test_accuracy" and len(values) and (untrained := int(is_untrained(done).sum())):
            which = "" if len(done) == 1 else f"{untrained} of {len(done)} rounds: "
            chance = f"{100 * done['majority_accuracy'].mean():.1f} %"
            rows.append(("untrained", f"{which}hardly better than always the more frequent answer ({chance})"))
    if len(done):
        each = f", {done['seconds'].median():.1f} s a round" if len(done) > 1 else ""
        rows.append(("time", f"{rounds['seconds'].sum():.1f} s of training{each}"))
    return rows


def about_head(model: dict[str, Any], aux_weight: float) -> str:
    """Why a digit accuracy is as low as it is, in brackets; empty where nothing but the network itself is the reason."""
    untold = aux_weight == 0 and model["comparator"]["reads"] != "posterior"
    return f" ({UNTOLD})" if untold else f" ({JOINT})" if model["digit_head"]["reads"] == "joint" else ""


def print_next(run: "Run", console: Console) -> None:
    """Print up to three commands that a first run leads to. Nothing where something went wrong, or there are many rounds already."""
    rounds = run.config.rounds
    if not isinstance(rounds, int) or rounds > SOME_ROUNDS or run.failed or len(run.rows) < rounds or not run.config.test:
        return
    _, _, _, *overrides = shlex.split(run.command)
    others = [override for override in overrides if override.lstrip("+").split("=")[0] not in ("rounds", "seed", "hydra.run.dir")]
    given = {override.split("=")[0] for override in others}
    mistakes = run.config.save_model and TARGETS[run.config.data.target].outputs == 2  # which shows pairs with two answers
    steps = [("which pairs it gets wrong", ["python", "-m", "digitcmp.mistakes", shown(run.directory)])] if mistakes else []
    if rounds == 1:
        steps.append(("how much chance there is in it", ["python", "-m", "digitcmp", *others, f"rounds={SOME_ROUNDS}"]))
    sweep, seeds = ["python", "-m", "digitcmp", "--multirun"], "seed=range(10)"
    if "aux_weight" in given and run.config.aux_weight and not run.config.model.comparator.detach:
        without = [f"aux_weight=0,{run.config.aux_weight:g}" if one.startswith("aux_weight=") else one for one in others]
        steps.append(("what the auxiliary loss buys", [*sweep, *without, seeds]))
    elif given <= {"model", "epochs"} and run.config.model.name not in ("net2", "decoder", "decoder_small", "splitnet"):
        without = [f"model=net2,{run.config.model.name}" if one.startswith("model=") else one for one in others]
        steps.append(("two networks, compared", [*sweep, *without, seeds]))
    elif "model" not in given and not any(name.startswith("+") for name in given):
        steps.append(("two networks, compared", [*sweep, "model=net2,wsn", *others, seeds]))
    for number, (what, command) in enumerate(steps):
        console.print(f"{'    ' if number else 'next'}   # {what}", style="dim")
        say(console, shlex.join(command), "       ")


def shown(directory: Path) -> str:
    """A folder as one would type it here."""
    return str(directory.relative_to(Path.cwd()) if directory.is_relative_to(Path.cwd()) else directory)


def mean_and_deviation(fractions: pd.Series) -> str:
    """Fractions in per cent: the value of one round, mean ± standard deviation (of the sample) of more."""
    mean = f"{100 * round(fractions.mean(), DECIMALS):.2f}"  # sums in another order differ, and so would halves
    return f"{mean} %" if len(fractions) == 1 else f"{mean} ± {100 * fractions.std():.2f} %"


def print_summary(run: "Run", console: Console) -> None:
    """Print the table of a run, and where its files are. Where the terminal is too narrow for a table, a value is below its name."""
    rows = summary_rows(run.store.about or {}, round_frame([row for _, row in sorted(run.store.rows.items())]))
    names = max(len(name) for name, _ in rows)
    table = Table.grid(padding=(0, 2, 0, 0), collapse_padding=True)
    for name, value in rows:
        text = Text(line(value), "bold" if name == "test accuracy" else "")
        if console.width < names + NARROW:
            console.print(Text(name, "dim"))
            console.print(text)
        else:
            table.add_row(Text(name.ljust(names), "dim"), text)
    if table.row_count:
        console.print(table)
    directory = run.directory
    # outside the table, which would break a long path in two
    say(console, f"{shown(directory)}/", "files  ")
    say(console, " ".join(name for name in FILES if (directory / name).exists()), "       ")
