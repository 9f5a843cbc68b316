"""What the tests of searches share: a space, a shared study without a command line, and a process that works on a study."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import optuna
from optuna.storages import InMemoryStorage

from digitcmp.search.algorithms import make_sampler
from digitcmp.search.config import SearchConfig
from digitcmp.search.grammar import make_space
from digitcmp.search.storage import open_storage
from digitcmp.search.study import SharedStudy, open_study

WORKER = Path(__file__).with_name("worker.py")
PARAMS = {
    "optimizer": "choice(sgd,adam)",
    "optimizer.lr": "tag(log,interval(0.001,1))",
    "optimizer.momentum": {"when": "optimizer=sgd", "space": "interval(0,0.9)"},
}
IDENTITY = {"space": make_space(PARAMS, []).describe(), "configuration": {"epochs": 2}, "seeds": [0, 1], "steps": "epochs"}


def study_in(url: str, name: str) -> optuna.Study:
    """A study as it stands in a database, which is closed again."""
    here = InMemoryStorage()
    with open_storage(url) as storage:
        optuna.copy_study(from_study_name=name, from_storage=storage.backend, to_storage=here)
    return optuna.load_study(study_name=name, storage=here)


@contextmanager
def open_shared(url: str, n_trials: int = 10, lease: float = 60.0, name: str = "study") -> Iterator[SharedStudy]:
    """A study, as one of the processes that work on it sees it."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    settings = SearchConfig(n_trials=n_trials, lease=lease)
    with open_storage(url) as storage:
        sampler = make_sampler(SearchConfig(sampler="random"), 0)
        shared = SharedStudy(storage, open_study(storage, name, settings, IDENTITY, sampler, optuna.pruners.NopPruner()), settings)
        with shared.join():
            yield shared
