"""What Hydra does for a job whose result is known: its files, its log, its callbacks, its return value.

The same as `hydra.core.utils.run_job`, which copies the whole configuration four times for a job that may change it
while it is running: half of what a short job costs. A test compares the two.
"""

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, redirect_stderr, suppress
from io import StringIO
from pathlib import Path
from typing import Any, cast

from hydra._internal import hydra as hydra_main
from hydra._internal.execution_policy import execution_whitelist
from hydra.conf import HydraConf
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobReturn, JobRuntime, JobStatus, configure_log
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, ListConfig, Node, OmegaConf, open_dict, read_write

from digitcmp.config.overrides import overrides_of
from digitcmp.plugins.sweeps import check_arrived


def raise_quietly() -> None:
    """Let Hydra's jobs raise their errors as they are: with every launcher, it prints a line of its own before. A job whose results are
    elsewhere has failed, too."""
    told = JobReturn.return_value.fget  # type: ignore[attr-defined]
    if told.__module__ == __name__:
        return

    def quiet(ended: JobReturn) -> Any:
        with redirect_stderr(StringIO()):  # it prints nothing else
            value = told(ended)
        check_arrived(ended)
        return value

    JobReturn.return_value = JobReturn.return_value.getter(quiet)  # type: ignore[attr-defined,method-assign]


def is_plain(config: DictConfig) -> bool:
    """Whether the job needs nothing but files, log and callbacks: no other working directory, no environment variables."""
    return not config.hydra.job.chdir and not config.hydra.job.env_set and config.hydra.output_subdir is not None


def conclude(context: HydraContext, task_function: TaskFunction, config: DictConfig, directory: Path, value: float) -> JobReturn:
    """Files, log and callbacks of a job that has returned this value. config: as it was composed, not used elsewhere."""
    # no public call but run_job itself says what may be instantiated meanwhile
    with execution_whitelist(context.execution_whitelist, reset=True), hydra_config_of(config, directory) as hydra:
        OmegaConf.set_readonly(config.hydra, True)
        result = JobReturn(
            overrides=overrides_of(config.hydra),
            cfg=view(config, [str(name) for name in config if name != "hydra"]),
            hydra_cfg=hydra,
            working_dir=str(Path.cwd()),
            task_name=JobRuntime.instance().get("name"),
        )
        directory.mkdir(parents=True, exist_ok=True)
        configure_log(config.hydra.job_logging, config.hydra.verbose, execution_whitelist=context.execution_whitelist)
        write_files(directory, config, hydra)
        call(context, task_function, config, result, value)
    return result


def write_files(directory: Path, config: DictConfig, hydra: DictConfig) -> None:
    """.hydra/ of a job: its configuration, Hydra's part of it, its overrides. Raises OSError."""
    folder = directory / str(config.hydra.output_subdir)
    folder.mkdir(parents=True, exist_ok=True)
    own = view(config, [str(name) for name in config if name != "hydra"])
    for name, part in {"config": own, "hydra": hydra, "overrides": config.hydra.overrides.task}.items():
        (folder / f"{name}.yaml").write_text(OmegaConf.to_yaml(part), encoding="utf-8")


def write_early(directory: Path, config: DictConfig) -> None:
    """As `write_files`, for a job that is to be trained: if it is killed, what it was to do is there. What is in the way of its files
    is met by the job itself."""
    with suppress(OSError), hydra_config_of(config, directory) as hydra:
        write_files(directory, config, hydra)


def resolve_unions() -> None:
    """Let Hydra print configurations with --resolve: what is neither a dictionary nor a list (a key of two types), it takes for a list."""
    told = hydra_main._resolve_node_interpolations
    if told.__module__ == __name__:
        return

    def resolve(node: Any) -> None:
        if isinstance(node, DictConfig | ListConfig):
            told(node)

    hydra_main._resolve_node_interpolations = resolve  # type: ignore[assignment]


def call(context: HydraContext, task_function: TaskFunction, config: DictConfig, result: JobReturn, value: float) -> None:
    """The callbacks at the start and at the end of a job, and its value between them."""
    try:
        context.callbacks.on_job_start(config=config, task_function=task_function)
        result.return_value, result.status = value, JobStatus.COMPLETED
    except BaseException as error:  # a callback may end the program: the others are told
        result.return_value, result.status = error, JobStatus.FAILED
        raise
    finally:
        context.callbacks.on_job_end(config=config, job_return=result)


@contextmanager
def hydra_config_of(config: DictConfig, directory: Path) -> Iterator[DictConfig]:
    """Hydra's part of the job's configuration, which is what `HydraConfig.get` gives meanwhile."""
    instance = HydraConfig.instance()
    before = instance.cfg
    with read_write(config.hydra.runtime), open_dict(config.hydra.runtime):
        config.hydra.runtime.output_dir = str(directory)
    own = view(config, ["hydra"])
    instance.cfg = cast(HydraConf, own)
    try:
        yield own
    finally:
        instance.cfg = before


def view(config: DictConfig, names: Iterable[str]) -> DictConfig:
    """Some entries of a configuration under a root of their own; not copies, they still refer to the whole."""
    # public calls tell a node's flags only together with those of its parents: is_struct, is_readonly
    part = DictConfig({}, flags=dict(config._metadata.flags or {}))
    # public calls copy nodes: masked_copy, create, assignment
    content = cast(dict[str, Node], part._content)
    content.update({name: cast(Node, config._get_node(name)) for name in names})
    return part


@contextmanager
def log_kept() -> Iterator[None]:
    """What is logged goes on where it went before, after a job has had its own log."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    try:
        yield
    finally:
        for handler in set(root.handlers) - set(handlers):
            handler.close()
        root.handlers[:] = handlers
        root.setLevel(level)
