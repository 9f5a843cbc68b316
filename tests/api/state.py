"""The state of a process that a library has no business changing, to be compared before and after a call."""

import gc
import logging
import os
import random
import signal
import sys
import threading
import warnings
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import torch
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobReturn
from omegaconf.basecontainer import BaseContainer


def groups(repo: dict[str, Any]) -> dict[str, Any]:
    """What a store has."""
    return {name: groups(part) if isinstance(part, dict) else id(part) for name, part in repo.items()}


def wakeup() -> int:
    """Where Python tells of signals."""
    number = signal.set_wakeup_fd(-1)
    signal.set_wakeup_fd(number)
    return number


def state() -> dict[str, Any]:
    """Everything by name."""
    gc.collect()
    root = logging.getLogger()
    loggers = {name: one for name, one in root.manager.loggerDict.items() if isinstance(one, logging.Logger)}
    drawn: Any = np.random.get_state()  # noqa: NPY002
    return {
        "arguments": list(sys.argv),
        "environment": dict(os.environ),
        "folder": Path.cwd(),
        "path": list(sys.path),
        "hooks": (sys.excepthook, sys.unraisablehook, sys.stdout, sys.stderr),
        "signals": {one: signal.getsignal(one) for one in signal.valid_signals()},
        "wakeup": wakeup(),
        "threads": sorted(one.name for one in threading.enumerate()),
        "children": sorted(Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()),
        "warnings": list(warnings.filters),
        "root": (list(root.handlers), root.level, root.disabled),
        "loggers": {name: (list(one.handlers), one.level, one.propagate, one.disabled) for name, one in loggers.items()},
        "raising": logging.raiseExceptions,
        "hydra": (GlobalHydra.instance().hydra, HydraConfig.instance().cfg, groups(ConfigStore.instance().repo)),
        "replaced": vars(JobReturn)["return_value"],
        "resolvers": set(BaseContainer._resolvers),
        "torch": (torch.get_num_threads(), torch.get_default_dtype(), torch.is_grad_enabled()),
        "random, of torch": hash(tuple(torch.get_rng_state().tolist())),
        "random, of numpy": hash(tuple(drawn[1].tolist())),
        "random": hash(random.getstate()),
        # where nobody has chosen a backend, matplotlib does when it is asked for one, also by a box plot
        "matplotlib": (mpl.get_backend(), {str(name): str(value) for name, value in mpl.rcParams.items()}),
    }


def changed(before: dict[str, Any], after: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """What differs. Loggers that have come with imports are no change."""
    known = {name: after["loggers"][name] for name in before["loggers"]}
    after = {**after, "loggers": known}
    return {name: (before[name], after[name]) for name in before if before[name] != after[name]}
