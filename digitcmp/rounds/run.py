"""A run: one configuration, trained over one or more rounds, in one directory."""

import logging
from pathlib import Path
from statistics import fmean

import torch
from rich.console import Console

from digitcmp.config import Config
from digitcmp.model.network import count_parameters
from digitcmp.rounds.display import Display, counted
from digitcmp.rounds.engines import ENGINES, choose, choose_device
from digitcmp.rounds.identity import configuration, configuration_hash
from digitcmp.rounds.provenance import versions
from digitcmp.rounds.records import Records
from digitcmp.rounds.round import RoundResult, recipe, round_pairs

log = logging.getLogger(__name__)


def check_means(config: Config) -> torch.device:
    """The device to train on. Raises ConfigError when there is no such device, optimiser or schedule, DataError for the data."""
    device = choose_device(config.device)
    recipe(config)
    round_pairs(config, config.seed)  # a problem with the data is found here, once, and not in every worker
    return device


def run(config: Config, directory: Path, command: str, console: Console) -> Records:
    """Train all rounds of a run and leave its records in the directory.

    Raises what `check_means` raises, before anything is written, and RunError when the directory cannot be written. On
    Ctrl-C the finished rounds stay, and the run is marked interrupted.
    """
    device = check_means(config)
    engine, workers = choose(config, config.rounds, device)
    values = configuration(config)
    about = {
        "configuration": values,
        "configuration_hash": configuration_hash(values),
        "parameters": count_parameters(config.model),
        "seeds": config.seeds,
        "engine": engine,
        "workers": workers,
        "device": device.type,
        **versions(),
        "command": command,
    }
    records = Records.start(directory, about)
    log.info("%s: rounds %d, epochs %d, device %s, engine %s, workers %d", command, config.rounds, config.epochs, device, engine, workers)
    try:
        with Display(config.model.name, config.rounds, config.epochs, console) as display:
            for result in ENGINES[engine](config, config.seeds, device, workers, display):
                records.add(result)
                report(result)
                display.finish(result.row)
    except KeyboardInterrupt:
        records.finish("interrupted")
        raise KeyboardInterrupt(f"{counted(len(records.rounds), 'finished round')} kept in {directory}") from None
    records.finish("failed" if records.failed else "done")
    return records


def report(result: RoundResult) -> None:
    """Log how a round ended."""
    row = result.row
    if row.status == "done":
        log.info("round of seed %d: test accuracy %.4f after %d epochs, %.1f s", row.seed, row.test_accuracy, row.epochs, row.seconds)
    else:
        log.error("round of seed %d failed: %s%s", row.seed, row.error, f"\n{result.trace}" if result.trace else "")


def objective(records: Records) -> float:
    """What a search maximises: the mean validation accuracy of the rounds (test accuracy without validation pairs), NaN without rounds."""
    scores = [row.test_accuracy if row.val_accuracy is None else row.val_accuracy for row in records.rounds if row.status == "done"]
    return fmean(score for score in scores if score is not None) if scores else float("nan")
