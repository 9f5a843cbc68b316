"""The command line: what Hydra calls for a job and around it, and how errors end."""

import logging
import os
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any, NoReturn

import hydra
import yaml
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from digitcmp import __version__, entry, session
from digitcmp.config import messages, schema
from digitcmp.config.composed import OFFICIAL, check_auto, typed
from digitcmp.config.identity import execution_keys
from digitcmp.config.overrides import overrides_of
from digitcmp.config.sizes import check_jobs
from digitcmp.config.unread import raised_by_reading
from digitcmp.counting import counted
from digitcmp.errors import DigitcmpError, RunError
from digitcmp.experiment import preview
from digitcmp.experiment.claims import in_use
from digitcmp.experiment.folders import run_folders
from digitcmp.experiment.log import RunLog
from digitcmp.experiment.plan import note_left_out, print_left_out, print_resumed, print_unused, show_plan
from digitcmp.experiment.progress import ProgressDisplay
from digitcmp.experiment.run import Run
from digitcmp.experiment.scheduler import train
from digitcmp.files import shipped
from digitcmp.notice import notice
from digitcmp.passwords import check_storage, into_environment
from digitcmp.plugins import named, official, options, orphans, previews, resolvers, slurm, sweeper, sweeps, unnamed
from digitcmp.plugins.changed import changes
from digitcmp.plugins.failing import Failing
from digitcmp.plugins.jobs import command_of, job_of
from digitcmp.plugins.refused import carried_out, error_of
from digitcmp.plugins.resolvers import run_name
from digitcmp.screen import complain
from digitcmp.search.config import TARGET as SEARCHING
from digitcmp.terminal import Terminal, end_quietly, tell, writable
from digitcmp.trackers import load as trackers

HYDRAS_OWN = ["hydra.experimental.callbacks.LogJobReturnCallback"]  # callbacks that come with Hydra, for hydra.callbacks.NAME._target_
KEPT_ROUNDS = 10  # a single run of so many keeps its networks unasked


class Hooks(Failing):
    """What happens around Hydra's runs: a check before a single one; the report and the failures of a sweep.

    Hydra turns what a callback raises into a warning, SystemExit excepted; so that is what carries messages out.
    """

    @carried_out
    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Refuse a bad configuration, missing data or a missing device before a directory is made; or only show the plan."""
        del kwargs
        sweeps.check_names(config, config.hydra.run.dir)
        check_storage("callbacks", OmegaConf.to_container(config.callbacks, resolve=False))
        slurm.check_given(config.hydra, multirun=False)
        sweeps.check_beside(config)
        sweeps.check_single(config)
        unnamed.claim(config, "run")
        if config.preview:
            previews.give_folder(config, single=True)
        session.goes_to(config.hydra.run.dir)
        checked = preview.shortened(typed(config))
        named.print_borrowed([named.borrowed_name(config.hydra.runtime, checked.model.name)], Terminal())
        run = Run(checked, Path(config.hydra.run.dir), "")  # refuses a folder that holds another configuration
        if checked.rounds == schema.AUTO:
            from digitcmp.auto import plan_file

            plan_file.make([run], run.directory)  # or another plan
        trackers.check(checked.callbacks)
        if not run.complete:
            from digitcmp.experiment.executors.choose import preflight

            preflight(checked)
        if checked.dry_run:
            print_unused([run], Terminal())
            show_plan([run], run.directory, Terminal())
            raise SystemExit(0)

    @carried_out
    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Refuse bad names, passwords in files, more jobs than anybody can mean, what must not be searched, and rounds=auto where it
        cannot work, before a directory is made; give a sweep that is not what its name says a folder of its own."""
        del kwargs
        sweeps.check_names(config, config.hydra.sweep.dir)
        slurm.check_given(config.hydra, multirun=True)
        sweeps.check_beside(config)
        check_storage("callbacks", OmegaConf.to_container(config.callbacks, resolve=False))
        check_storage("hydra.sweeper", OmegaConf.to_container(config.hydra.sweeper, resolve=False))
        if config.hydra.sweeper._target_ not in (SEARCHING, OFFICIAL):
            params = [f"{name}={value}" for name, value in (config.hydra.sweeper.get("params") or {}).items()]
            check_jobs([*params, *overrides_of(config.hydra)])
        check_auto(config, config.hydra)
        sweeps.check_whole(config)
        official.check_official(config)
        unnamed.claim(config, "sweep")
        if folder := sweeps.give_folder(config, lambda: run_name("-", changes(config), execution_keys())):
            tell(Terminal(), f"the sweep is changed, so that it goes into a folder of its own: {folder}")
        if config.preview:
            previews.give_folder(config, single=False)
        sweeps.check_kind(config)
        sweeps.make_absolute(config)
        orphans.mark(config.hydra)
        session.goes_to(config.hydra.sweep.dir)

    @carried_out
    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Write the report of the sweep; list its failed rounds, and the command that trains just those again."""
        del kwargs
        directory = Path(config.hydra.sweep.dir)
        if config.dry_run or isinstance(sys.exception(), KeyboardInterrupt | SystemExit):
            return
        if not (runs := run_folders(directory)):
            if sys.exception() is None:
                sweeps.check_any_arrived(config.hydra)
            return
        if config.hydra.sweeper._target_ == SEARCHING:  # which has written its own summary, and told of its failed trials
            return
        if config.hydra.sweeper._target_ == OFFICIAL:
            sweeper.print_found(directory, config.hydra.sweeper.direction)
            return
        if busy := list(filter(in_use, runs)):
            print(f"{counted(len(busy), 'run')} in {directory}: another process still trains rounds of them, and reports at its end")
            return
        if config.report and config.test:
            from digitcmp.report.terminal import report_on

            report_on(directory)
        if config.preview:
            preview.tell(directory, Terminal())
        self.tell_failed(directory)


@hydra.main(
    config_path=str(shipped("conf")),
    config_name="config",
    execution_whitelist=["digitcmp.cli.Hooks", "logging.StreamHandler", "logging.FileHandler", *HYDRAS_OWN],
)
def job(composed: DictConfig) -> float:
    """One job of Hydra: one run. Returns what a search maximises (see `digitcmp.experiment.run.objective`)."""
    settings, console = HydraConfig.get(), Terminal()
    orphans.watch(settings)
    alone = settings.mode == RunMode.RUN
    whole = typed(composed, settings)
    if whole.save_model is None:
        whole.save_model = alone and isinstance(whole.rounds, int) and whole.rounds <= KEPT_ROUNDS
    config = preview.shortened(whole)
    number = None if alone else job_of(Path(settings.sweep.dir), int(settings.job.num))
    run = Run(config, Path(settings.runtime.output_dir), command_of(settings, alone), number)
    if alone:
        print_unused([run], console)
        print_resumed([run], console)
        if whole.preview:
            part = preview.Part(["."], 1, preview.rounds_of(whole), whole.epochs)
            preview.write(preview.make_whole(preview.typed_command(sys.argv[1:]), [whole], [part]), run.directory)
    elif not run.complete:  # of a launcher that is not ours
        print_left_out(note_left_out([run]), console, {str(config.data.root)} if settings.job.num else set())
        from digitcmp.experiment.executors.choose import preflight

        preflight(run.config)
    if run.config.rounds == schema.AUTO:
        from digitcmp.auto.training import train_auto

        train_auto([run], run.directory, [RunLog()], console)
    else:
        with ProgressDisplay.of([run], console) as display:
            train([run], [display, RunLog()])
    if alone:
        from digitcmp.report.curves import draw_outdated
        from digitcmp.report.summary import print_next, print_summary

        notice.show("drawing its curves …")
        draw_outdated([run.directory])
        if session.from_shell():
            print_summary(run, console)
        if whole.preview:
            preview.tell(run.directory, console)
        elif session.from_shell():
            print_next(run, console)
    return run.outcome()


def main() -> None:
    """Run the command line. Ends with exit code 0; 1 for an error, told in one line on stderr. Raises KeyboardInterrupt for Ctrl-C
    (see `digitcmp.entry`)."""
    if sys.argv[1:] == ["--version"]:
        print(f"digitcmp {__version__} (Hydra {version('hydra-core')})")
        return
    full_trace = os.environ.get("HYDRA_FULL_ERROR") == "1"
    try:
        carry_out(sys.argv[1:])
        sys.stdout.flush()
    except BrokenPipeError:
        end_quietly()
    except SystemExit as end:
        if (refused := error_of(end)) is None:
            raise
        fail(refused, full_trace)
    except Exception as error:
        fail(error, full_trace)
    finally:
        if not full_trace:
            os.environ.pop("HYDRA_FULL_ERROR", None)


def carry_out(arguments: list[str]) -> None:
    """Let Hydra do what the arguments of a command line say; they stand in `sys.argv` meanwhile, as Hydra wants it. Raises what Hydra
    raises, and Refused for what a callback of ours has refused."""
    logging.raiseExceptions = False  # a log that cannot be written is no reason for a trace: what matters is on record
    os.environ["HYDRA_FULL_ERROR"] = "1"  # makes Hydra raise its errors instead of printing them
    sys.argv[:] = ["digitcmp", *options.given(into_environment(arguments, os.environ))]
    resolvers.register()
    with unnamed.claims():
        job()


def fail(error: BaseException, full_trace: bool) -> NoReturn:
    """End with exit code 1 and one line, or with the whole trace where that was asked for, and where it is a fault of the program.

    Raises KeyboardInterrupt for what a library has made of one.
    """
    if entry.interrupts.seen:
        raise KeyboardInterrupt from error
    # what Hydra raises for a choice that there is not is an OSError, too
    if isinstance(error, OSError) and not isinstance(error, HydraException) and error.filename is None and not writable(sys.stdout):
        error = RunError(f"cannot write to standard output: {error.strerror}; finished rounds are kept")
    told = mendable(error, sys.argv[1:])
    if full_trace or told is None:
        raise error
    complain(told)
    sys.exit(1)


def mendable(error: BaseException, arguments: list[str]) -> str | None:
    """What went wrong with these arguments, in one line; None where that is a fault of the program."""
    if isinstance(error.__cause__, OSError) and isinstance(error, ValueError):  # Hydra's log cannot be written
        error = error.__cause__
    known = isinstance(error, DigitcmpError | HydraException | OmegaConfBaseException | OSError | UnicodeDecodeError | yaml.YAMLError)
    if not (known or raised_by_reading(error) or messages.raised_by_a_library(error)):
        return None
    return messages.one_line(error, arguments)
