"""The checkpoints of a run: what the same command goes on from with rounds that were in flight when the last one ended.

A file each in records/checkpoints/, SEED-EPOCH-ORIGIN.safetensors (`digitcmp.train.progress`). ORIGIN is a hash of the configuration and
of the versions of all that trains it: others would go on with other numbers. Engine and size of stacks are not in it: any goes on, but
those of a run that was not stopped are the numbers of the same ones alone, as others round otherwise. The files of a stack are written
one by one, and those before them are kept until all are there: a stack that is killed in between still has common ones.
"""

import hashlib
import json
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from digitcmp.config.taken import plugins_of
from digitcmp.experiment.provenance import versions
from digitcmp.experiment.records import FOLDER
from digitcmp.files import is_special, remove_leftovers, write_whole
from digitcmp.train.results import Checkpoint

FORMAT = 2  # of the files: since 2, numbers that an optimiser remembers have their type
NAME = re.compile(r"(\d+)-(\d+)-([0-9a-f]{12})\.safetensors")


class Found(NamedTuple):
    """The checkpoints of a round that are of use, and the names of the others, each with what is wrong with it."""

    seed: int
    checkpoints: list[Checkpoint]
    others: dict[str, str]


class Checkpoints:
    """Those of a run's folder. A round's are written and removed by the process that has claimed it."""

    def __init__(self, directory: Path, configuration: dict[str, Any], configuration_hash: str) -> None:
        self.folder, self.configuration = directory / FOLDER / "checkpoints", configuration
        self.configuration_hash = configuration_hash

    @cached_property
    def origin(self) -> str:
        """What a checkpoint of this run has to come from."""
        made_by = [FORMAT, self.configuration_hash, versions(), *filter(None, [plugins_of(self.configuration)])]
        return hashlib.sha256(json.dumps(made_by, sort_keys=True).encode()).hexdigest()[:12]

    def files(self) -> Iterator[tuple[Path, int, int, str]]:
        """Each file with its seed, its epoch and its origin."""
        with suppress(FileNotFoundError, NotADirectoryError):
            for path in self.folder.iterdir():
                if named := NAME.fullmatch(path.name):
                    yield path, int(named[1]), int(named[2]), named[3]

    def find(self, seed: int) -> Found:
        """Those that a round can go on from."""
        found = Found(seed, [], {})
        for path, of, epoch, origin in self.files():
            if of != seed:
                continue
            if origin != self.origin:
                found.others[path.name] = "it is of another version of digitcmp, torch or a plugin, or of another configuration"
                continue
            try:
                found.checkpoints.append(read(path, seed, epoch))
            except (OSError, ValueError) as error:
                found.others[path.name] = f"it is damaged ({error})"
        return found

    def write(self, checkpoint: Checkpoint) -> None:
        """Keep a checkpoint. Raises RunError when it cannot be written."""
        write_whole(self.folder / f"{checkpoint.seed}-{checkpoint.epoch}-{self.origin}.safetensors", checkpoint.file)

    def remove(self, seeds: Collection[int], but: int | None = None) -> None:
        """Remove those of rounds, but for those after so many epochs."""
        for path, seed, epoch, origin in self.files():
            if seed in seeds and (epoch, origin) != (but, self.origin):
                with suppress(OSError):
                    path.unlink(missing_ok=True)

    def clean(self, finished: Collection[int]) -> None:
        """Remove what is left of finished rounds, and of what a process was writing that is dead."""
        remove_leftovers(self.folder)
        self.remove(finished)
        with suppress(OSError):
            self.folder.rmdir()  # unless there are others


def read(path: Path, seed: int, epoch: int) -> Checkpoint:
    """The checkpoint of a file. Raises OSError or ValueError for one that is damaged."""
    from digitcmp.train import progress  # imports torch

    if is_special(path):
        raise OSError("it is no file")
    checkpoint, _, _ = progress.read(path.read_bytes())
    if (checkpoint.seed, checkpoint.epoch) != (seed, epoch):
        raise ValueError("it has another name")
    return checkpoint


def keep(checkpoints: Iterable[tuple[Checkpoints, Checkpoint]]) -> None:
    """Write the checkpoints of rounds that are trained together, each to its run's; then remove those before them. Raises RunError."""
    written: defaultdict[tuple[Checkpoints, int], set[int]] = defaultdict(set)
    for own, checkpoint in checkpoints:
        own.write(checkpoint)
        written[own, checkpoint.epoch].add(checkpoint.seed)
    for (own, epoch), seeds in written.items():
        own.remove(seeds, but=epoch)


def left_out(rounds: Iterable[Found]) -> Iterator[str]:
    """A line for all checkpoints of these rounds that are left out for the same reason."""
    names: defaultdict[str, list[str]] = defaultdict(list)
    for found in rounds:
        for name, reason in found.others.items():
            names[reason].append(name)
    for reason, (first, *more) in names.items():
        yield f"{FOLDER}/checkpoints/{first}{f' and {len(more)} more' * bool(more)} left out: {reason}"


def starts(rounds: Sequence[Found]) -> list[Checkpoint | None]:
    """What each of some rounds goes on from, None for one that begins: the last of its checkpoints that all rounds of its stack have
    which are among these, and are not damaged. Otherwise a stack would go on in parts, and its numbers be others in their last digits.
    """
    epochs = {found.seed: {one.epoch for one in found.checkpoints} for found in rounds if not found.others}
    common = [
        [one for one in found.checkpoints if all(one.epoch in epochs.get(seed, {one.epoch}) for seed in one.stack)] for found in rounds
    ]
    return [max(ones, key=lambda one: one.epoch, default=None) for ones in common]
