"""Reads the logs of a run's folder (`digitcmp.experiment.records`): the only reader of them."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

from digitcmp.counting import are, counted
from digitcmp.errors import RunError
from digitcmp.experiment.records import FOLDER, Records, parse
from digitcmp.files import is_special


class LogReader:
    """Reads what is new in the logs of a run, each time it is asked.

    Every log is opened anew and read from where the last record ended: the size that a network file system reports may be old.
    """

    def __init__(self, directory: Path, configuration: str) -> None:
        """directory: that of the run. configuration: the hash of the one whose records are wanted."""
        self.directory, self.configuration = directory, configuration
        self.ends: dict[str, int] = {}
        self.others = 0  # records of other configurations

    def read(self, records: Records, skip: str | None = None, all_of_them: bool = True) -> None:
        """Add what is new. skip: a log that need not be read; the texts are then not kept either. Raises RunError, for a log that cannot be
        read only where all of them are needed: what is trained next depends on them."""
        for path in log_paths(self.directory):
            if (name := path.name) == skip:
                continue
            start, seen = self.ends.get(name, 0), name in self.ends
            try:
                data = read_from(path, start)
            except RunError as error:
                if all_of_them:
                    raise
                records.damaged.append(f"{FOLDER}/{str(error).removeprefix(f'{path.parent}/')}; its rounds are left out")
                continue
            new, damaged, end = parse(data, name)
            if damaged and seen:  # what is behind the last record may still be written
                _, damaged, _ = parse(data[:end], name, read_from(path, 0)[:start].count(b"\n"))
            records.damaged += [line for line in damaged if line not in records.damaged]
            self.ends[name] = start + end
            for record in new:
                if record.configuration == self.configuration:
                    records.add(record if skip is None else replace(record, text=b""))
            others = Counter(record.configuration for record in new if record.configuration != self.configuration)
            self.others += others.total()
            for hash_, count in others.items():
                what = f"{counted(count, 'round')} of another configuration ({hash_})"
                records.damaged.append(f"{FOLDER}/{name}: {what} {are(count)} left out")


def log_paths(directory: Path) -> list[Path]:
    """The logs of a run, in the order of their names, which is that of their beginnings; none where there is no run yet."""
    try:
        return sorted(path for path in (directory / FOLDER).iterdir() if path.suffix == ".jsonl")
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise RunError(f"{directory / FOLDER} cannot be read: {error.strerror}") from error


def read_from(path: Path, offset: int) -> bytes:
    """The bytes of a file from an offset on. Raises RunError when it cannot be read."""
    try:
        if is_special(path):
            raise RunError(f"{path} cannot be read: it is no file")
        with path.open("rb") as file:
            file.seek(offset)
            return file.read()
    except OSError as error:
        raise RunError(f"{path} cannot be read: {error.strerror}") from error


def read_logs(directory: Path, configuration: str) -> Records:
    """All that can be read in the logs of a run's folder of the configuration with this hash, in the order of the seeds. Raises RunError
    where their folder cannot be read."""
    records = Records()
    LogReader(directory, configuration).read(records, all_of_them=False)
    return Records(dict(sorted(records.rounds.items())), records.damaged)
