"""What a command changes in the process that it runs in, and puts back at its end: a program, unlike a shell, has other plans for it."""

import logging
import os
import sys
import threading
import warnings
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

from hydra._internal import hydra as hydra_main
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobReturn, JobRuntime
from omegaconf import OmegaConf
from omegaconf.basecontainer import BaseContainer

from digitcmp.entry import hush
from digitcmp.errors import RunError
from digitcmp.experiment.executors.server import ForkServer, servers
from digitcmp.notice import notice

# what `digitcmp.plugins.resolvers.register` replaces in Hydra
REPLACED: list[tuple[Any, str]] = [
    (ConfigLoaderImpl, "_compose_config_from_defaults_list"),
    (hydra_main.Hydra, "list_all_config_groups"),
    (hydra_main, "_resolve_node_interpolations"),
    (JobReturn, "return_value"),
]


STORED: dict[str, Any] = {}  # groups of Hydra's own: its plugins store their choices when they are imported, once in a process
lent = threading.Lock()  # to whom the process is lent: all of this is there once


@contextmanager
def borrowed() -> Iterator[None]:
    """Lend a command the process: arguments, environment, warnings, logging, Hydra's and OmegaConf's registries, and a server of worker
    processes of its own; all are afterwards what they were before. Raises RunError while it is lent to another command."""
    with ExitStack() as kept:
        if not lent.acquire(blocking=False):
            raise RunError(
                "another call of digitcmp.run or digitcmp.sweep is under way in this process, which has room for one; wait for it "
                "(its rounds are trained side by side), or call this in a process of its own"
            )
        kept.callback(lent.release)
        for one in (hydra_kept, logging_kept, environment_kept, warnings.catch_warnings, own_server):
            kept.enter_context(one())
        hush()
        try:
            yield
        finally:
            notice.clear()


@contextmanager
def own_server() -> Iterator[None]:
    """A server of worker processes for the command alone: it has the environment of that time, and is ended with it."""
    before, servers.server = servers.server, None
    try:
        yield
    finally:
        end(servers.server)
        servers.server = before


def end(server: ForkServer | None) -> None:
    """End a server, where there is one."""
    if server is not None:
        server.end()


@contextmanager
def environment_kept() -> Iterator[None]:
    """The environment of the process, and its arguments."""
    environment, arguments = dict(os.environ), list(sys.argv)
    try:
        yield
    finally:
        sys.argv[:] = arguments
        for name in set(os.environ) - set(environment):
            del os.environ[name]
        os.environ.update(environment)


@contextmanager
def hydra_kept() -> Iterator[None]:
    """What Hydra keeps for the whole process. A program may use Hydra itself, also around the call."""
    hydra, job, store = GlobalHydra.instance(), HydraConfig.instance(), ConfigStore.instance()
    before = hydra.hydra, job.cfg, copied(store.repo), OmegaConf.to_container(JobRuntime.instance().conf)
    # no public call tells the resolvers that there are
    resolvers = dict(BaseContainer._resolvers)
    replaced = [(owner, name, vars(owner)[name]) for owner, name in REPLACED]
    hydra.clear()
    add(STORED, store.repo)
    try:
        yield
    finally:
        STORED["hydra"] = copied(store.repo["hydra"])
        hydra.hydra, job.cfg, store.repo, runtime = before
        JobRuntime.instance().conf = OmegaConf.create(runtime)
        BaseContainer._resolvers.clear()
        BaseContainer._resolvers.update(resolvers)
        for owner, name, value in replaced:
            setattr(owner, name, value)


def add(groups: Mapping[str, Any], repo: dict[str, Any]) -> None:
    """Put groups of a store, and what is in them, into another one that does not have them."""
    for name, part in groups.items():
        if isinstance(part, dict):
            add(part, repo.setdefault(name, {}))
        else:
            repo.setdefault(name, part)


def copied(repo: dict[str, Any]) -> dict[str, Any]:
    """The groups of a store; what is in them stays what it is."""
    return {name: copied(part) if isinstance(part, dict) else part for name, part in repo.items()}


@contextmanager
def logging_kept() -> Iterator[None]:
    """Loggers and their handlers. Hydra configures logging with `dictConfig`, which closes every handler that there is."""
    root = logging.getLogger()
    loggers = [root, *(one for one in root.manager.loggerDict.values() if isinstance(one, logging.Logger))]
    before = [(one, list(one.handlers), one.level, one.propagate, one.disabled) for one in loggers]
    # neither public nor known to type checkers: all handlers that there are, and those that have a name
    inside: Any = logging
    handlers, names, raising = list(inside._handlerList), dict(inside._handlers), logging.raiseExceptions
    inside._handlerList.clear()  # out of its reach
    inside._handlers.clear()
    try:
        yield
    finally:
        logging.shutdown()  # the handlers that have come meanwhile
        for one, its, level, propagate, disabled in before:
            one.handlers[:] = its
            one.setLevel(level)
            one.propagate, one.disabled = propagate, disabled
        inside._handlerList[:] = handlers
        inside._handlers.clear()
        inside._handlers.update(names)
        logging.raiseExceptions = raising
