"""Trains the rounds that were drawn again, in a folder that is removed afterwards."""

import tempfile
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console

from digitcmp.config.identity import differences
from digitcmp.config.offered import KINDS
from digitcmp.config.recorded import MissingCodeError, of_run
from digitcmp.config.schema import Config
from digitcmp.errors import ConfigError, DigitcmpError, RunError
from digitcmp.experiment.about import data_root
from digitcmp.experiment.progress import ProgressDisplay
from digitcmp.experiment.run import Run
from digitcmp.experiment.scheduler import train
from digitcmp.report.frames import stack
from digitcmp.report.runs import read_frames
from digitcmp.verify.draw import Drawn

PLATFORM = ("torch", "engine", "device", "platform")  # of run.json: where they are equal, rounds are repeated bitwise
STACKED = "stacked rounds depend in their last digits on what is stacked with them"


@dataclass(frozen=True)
class Again:
    """What came out. rounds, epochs: as those of `Drawn`, with the same `run_index`. elsewhere: by run_index, in what its platform is
    not that of the records, so that they need not be equal to the last digit; runs whose platform is the same are not in it.
    tolerances: as `digitcmp.verify.rounding.tolerances` gives them, of the runs elsewhere."""

    rounds: pd.DataFrame
    epochs: pd.DataFrame
    elsewhere: dict[int, str]
    tolerances: dict[int, float]


def trainable(drawn: Drawn, engine: str | None, root: str | None) -> tuple[dict[int, Config], dict[int, str]]:
    """By run_index, the configurations of what was drawn that can be trained again; and of the others, why they cannot: their data are not
    here, or this version does not know them. engine: None for the executor on record. root: the folder of the data set, where it is not
    the run's own. Raises for the first one where none can be trained.
    """
    configs: dict[int, Config] = {}
    errors: dict[int, DigitcmpError] = {}
    for run, seed in zip(*(drawn.rounds.drop_duplicates("run_index")[name] for name in ("run_index", "seed")), strict=True):
        try:
            configs[run] = config_of(drawn.directory(run), drawn.about(run), seed, engine, root)
        except DigitcmpError as error:
            errors[run] = error
    if configs:
        from digitcmp.experiment.executors.choose import preflight  # imports torch

        for run, config in list(configs.items()):
            try:
                preflight(config)
            except DigitcmpError as error:
                errors[run] = error
                del configs[run]
    if not configs:
        raise next(iter(errors.values()))
    return configs, {run: str(error) for run, error in errors.items()}


def retrain(drawn: Drawn, configs: dict[int, Config], console: Console) -> Again:
    """Train what was drawn. configs: of all its runs, by run_index. Raises what training raises."""
    from digitcmp.verify.rounding import tolerances  # imports torch

    abouts = {run: drawn.about(run) for run in configs}
    seeds = drawn.rounds.groupby("run_index")["seed"].apply(list)
    with tempfile.TemporaryDirectory(prefix="digitcmp-verify-") as folder:
        runs = [make_run(config, Path(folder, str(run), drawn.directory(run).name), seeds[run]) for run, config in configs.items()]
        with ProgressDisplay.of(runs, console) as display:
            train(runs, [display])
        now = [run.store.about or {} for run in runs]
        # through the reader that the records come through, so that what is compared is what would be on record
        frames = [read_frames(run.directory, about) for run, about in zip(runs, now, strict=True)]
    of_run = dict(enumerate(abouts))
    rounds, epochs = (
        table.assign(run_index=table["run_index"].map(of_run))
        for table in (stack([one.rounds for one in frames]), stack([one.epochs for one in frames]))
    )
    told = {run: elsewhere(about, other) for (run, about), other in zip(abouts.items(), now, strict=True)}
    others = {run: configs[run] for run, text in told.items() if text}
    rounds = rounds.rename(columns={"epochs": "epochs_trained"})
    return Again(rounds, epochs, {run: told[run] for run in others}, tolerances(drawn.epochs, epochs, others))


def config_of(directory: Path, about: dict[str, Any], seed: int, engine: str | None, root: str | None) -> Config:
    """The configuration of a run as it is trained again: by the same executor, on the same device where there is one.

    Raises RunError when it is none of this version.
    """
    # a GPU need not be here, and another platform is something to verify on
    device = about["device"] if about.get("device") in ("cpu", "mps") else "auto"  # which takes no GPU of Apple's
    device = "auto" if device == "mps" and not has_mps() else device
    recorded = "auto" if about.get("engine") == "ray" else about.get("engine")  # nor need a cluster
    execution = {"seed": seed, "device": device, "engine": engine or recorded, "data": {"root": data_root(about, root)}}
    try:
        return of_run(about, execution, needs=KINDS)
    except MissingCodeError as error:
        raise RunError(f"{directory}: {error}") from error
    except ConfigError as error:
        raise RunError(f"{directory}: this version cannot train its configuration ({error}); use the one that made it") from error


def has_mps() -> bool:
    """Whether torch finds a GPU of Apple's here."""
    import torch

    return torch.backends.mps.is_available()


def make_run(config: Config, directory: Path, seeds: Sequence[int]) -> Run:
    """A run of these seeds, which need not follow each other."""
    run = Run(config, directory, "")
    run.missing = deque(seeds)
    return run


def elsewhere(about: dict[str, Any], now: dict[str, Any]) -> str:
    """In what a platform is not that on which a run was trained, in words; empty where both are the same."""
    if now.get("engine") == "stacked" and about.get("engine") == "stacked":
        return STACKED
    here = {name: now.get(name) for name in PLATFORM}
    for used in (about, *about.get("resumed", [])):
        if not used.get("platform"):
            return "run.json does not say on which platform it was trained (an earlier version wrote it)"
        if (there := {name: used.get(name) for name in PLATFORM}) != here:
            return differences(there, here)
    return ""
