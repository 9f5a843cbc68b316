"""preview=true in Hydra's hands: where it goes, which jobs of a sweep it trains, and what the whole of them is."""

import os
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

from omegaconf import DictConfig, open_dict, read_write

from digitcmp.config.identity import configuration, configuration_hash
from digitcmp.config.schema import Config
from digitcmp.errors import ConfigError
from digitcmp.experiment import preview
from digitcmp.experiment.preview import Part, Whole
from digitcmp.plugins.jobs import Job
from digitcmp.plugins.sweeps import check_ours, told
from digitcmp.terminal import Terminal, tell


def give_folder(config: DictConfig, single: bool) -> None:
    """Give a preview a folder beside the one of the whole, whatever that is, and say so. Raises ConfigError where another launcher or
    sweeper than the program's own has the jobs."""
    hydra = config.hydra
    if not single:
        check_ours(config, "preview=true", ("digitcmp",))
    where = hydra.run if single else hydra.sweep
    path = Path(str(where.dir))
    path = path if path.name not in ("", "..") else path.resolve()
    if not path.name:
        raise ConfigError(f"preview=true: there is no folder beside {path}; give another hydra.{'run' if single else 'sweep'}.dir")
    folder = f"{path}{preview.SUFFIX}"
    with read_write(hydra), open_dict(hydra):
        where.dir = folder
        if not single:
            hydra.overrides.hydra.append(told(folder))
    most = f"at most {preview.ROUNDS} rounds of {preview.EPOCHS} epochs of each configuration"
    tell(Terminal(), f"a preview: {most}, in {folder}")


def few_of(jobs: Sequence[Job]) -> list[Job]:
    """The jobs of a sweep that its preview trains: of each configuration the first ones that have two rounds between them."""
    rounds, kept = Counter[str](), []
    for job in jobs:
        name = hash_of(job.whole) if job.whole else ""
        if not job.whole or rounds[name] < preview.ROUNDS:
            kept.append(job)
        rounds[name] += len(job.config.seeds) if job.config else 0
    return kept


def whole_of(command: str, jobs: Sequence[Job], kept: Sequence[Job], sweep: Path) -> Whole:
    """What all the jobs of a sweep are, some of which are trained."""
    seeds, runs, folders = defaultdict[str, set[int]](set), Counter[str](), defaultdict[str, list[str]](list)
    configs = {hash_of(job.whole): job.whole for job in jobs if job.whole}
    for job in jobs:
        if job.whole:
            name, first = hash_of(job.whole), job.whole.seed
            seeds[name].update(range(first, first + preview.rounds_of(job.whole)))
            runs[name] += 1
            if job in kept and (folder := os.path.relpath(job.directory, sweep)) not in folders[name]:
                folders[name].append(folder)
    parts = [Part(folders[name], runs[name], len(seeds[name]), config.epochs) for name, config in configs.items()]
    return preview.make_whole(command, list(configs.values()), parts)


def hash_of(config: Config) -> str:
    """Equal for equal configurations."""
    return configuration_hash(configuration(config))
