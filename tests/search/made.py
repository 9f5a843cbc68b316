"""What the tests of searches share: a space, a ledger without a command line, and a process that works on a study."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import optuna

from digitcmp.search.config import Choice, Random, SearchConfig
from digitcmp.search.grammar import make_space
from digitcmp.search.samplers import make_sampler
from digitcmp.search.storage import open_place
from digitcmp.search.study import Ledger, open_study

WORKER = Path(__file__).with_name("worker.py")
PARAMS = {
    "optimizer": "choice(sgd,adam)",
    "optimizer.lr": "tag(log,interval(0.001,1))",
    "optimizer.momentum": {"when": "optimizer=sgd", "space": "interval(0,0.9)"},
}
ABOUT = {"space": make_space(PARAMS, []).describe(), "configuration": {"epochs": 2}, "seeds": [0, 1], "steps": "epochs"}


@contextmanager
def open_ledger(url: str, n_trials: int = 10, lease: float = 60.0, name: str = "study") -> Iterator[Ledger]:
    """A study that is open, as one process works on it."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    search = SearchConfig(n_trials=n_trials, lease=lease)
    with open_place(url) as place:
        sampler = make_sampler(Choice("random", Random()), 0)
        ledger = Ledger(place, open_study(place, name, search, ABOUT, sampler, optuna.pruners.NopPruner()), search)
        with ledger.join():
            yield ledger
