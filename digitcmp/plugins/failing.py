"""The failed rounds in the folder of a sweep, and the commands that train just those again."""

import re
import shlex
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from hydra.core.override_parser.types import Quote, QuotedString
from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from digitcmp.config.allowed import code_let_in
from digitcmp.config.meant import COMMAND
from digitcmp.config.schema import MOST_ROUNDS
from digitcmp.counting import NAMED, counted
from digitcmp.errors import RunError
from digitcmp.experiment.about import read_about
from digitcmp.experiment.folders import run_folders
from digitcmp.experiment.published import read_records
from digitcmp.inert import line, visible
from digitcmp.plugins.composing import key_of
from digitcmp.screen import complain

DIR = "hydra.sweep.dir"
OWN = ("seed", "rounds", "retry_failed")  # keys that the command for some rounds says anew
MOST = 20  # rounds that are listed


class Failing(Callback):
    """Knows which rounds the jobs of this command ask for: those of earlier commands in its folder it does not train again. Jobs that
    another launcher runs in other processes are unknown here, and taken for earlier ones, whose commands train them as well."""

    def __init__(self) -> None:
        self.asked: dict[Path, list[range]] = {}  # seeds, by the folder of the run

    def on_job_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Note what a job asks for; with rounds=auto, that is whatever its run has."""
        del kwargs
        rounds = config.rounds if isinstance(config.rounds, int) else MOST_ROUNDS
        folder = Path(str(config.hydra.runtime.output_dir)).resolve()
        self.asked.setdefault(folder, []).append(range(config.seed, config.seed + rounds))

    def tell_failed(self, sweep: Path) -> None:
        """List the failed rounds of all runs in a sweep's folder, and say which commands train just those again. A run that cannot be read
        is left out: the report has told of it."""
        lines, own, others = list[str](), False, dict[str, str]()
        for folder in run_folders(sweep):
            with suppress(RunError):
                about = read_about(folder)
                failed = [record.row for record in read_records(folder, about).rounds.values() if record.row.status == "failed"]
                lines += [line(f"  {folder.name} seed {row.seed}: {row.error}") for row in failed]
                asked = self.asked.get(folder.resolve(), [])
                left = sorted(row.seed for row in failed if not any(row.seed in seeds for seeds in asked))
                own = own or len(left) < len(failed)
                if left and (command := again(about, left, sweep)):
                    others[folder.name] = command
        if not lines:
            return
        told = [f"{len(lines)} failed:", *lines[:MOST]]
        told += [f"  … and {len(lines) - MOST} more"] if len(lines) > MOST else []
        if own:
            told.append(f"train just those again: {visible(typed_again(sys.argv[1:], sweep))}")
        of_others = "train those of an earlier command" if own else "train those"
        told += [line(f"{of_others} again, of {name}: {visible(command)}") for name, command in list(others.items())[:NAMED]]
        told += [f"and so on, for {counted(len(others) - NAMED, 'more run')}"] if len(others) > NAMED else []
        complain("\n".join(told))


def typed_again(arguments: list[str], sweep: Path) -> str:
    """The command that trains the failed rounds of this one."""
    own = [argument for argument in arguments if key_of(argument) != "retry_failed"]
    folder = [] if any(key_of(argument) == DIR for argument in own) else [in_folder(sweep)]
    return shlex.join([*COMMAND, *code_let_in(), *own, "retry_failed=true", *folder])


def again(about: dict[str, Any], seeds: list[int], sweep: Path) -> str:
    """The command that trains these rounds of a run in the folder of a sweep, as it is on record, with no others; empty where that says
    nothing."""
    with suppress(ValueError):  # somebody else's
        words = shlex.split(str(about.get("command")))
        if tuple(words[: len(COMMAND)]) == COMMAND:
            given = words[len(COMMAND) :]
            kept = [
                word for word in given if key_of(word) not in ("seed", "rounds", "retry_failed") and not key_of(word).startswith("auto.")
            ]
            stretch = range(seeds[0], seeds[-1] + 1)
            whole = set(stretch) <= set(about["seeds"])
            which = [f"seed={seeds[0]}", f"rounds={len(stretch)}"] if whole else [f"seed={','.join(map(str, seeds))}", "rounds=1"]
            return shlex.join([*COMMAND, "--multirun", *kept, *which, "retry_failed=true", in_folder(sweep)])
    return ""


def in_folder(sweep: Path) -> str:
    """The override that leads into this folder."""
    text = str(sweep)
    plain = re.fullmatch(r"[\w./-]+", text, re.ASCII)
    return f"{DIR}={text if plain else QuotedString(text, Quote.single).with_quotes()}"
