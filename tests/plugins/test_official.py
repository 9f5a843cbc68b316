"""What a search of the official Optuna sweeper is told, and refused: before anything is trained, in one line."""

import warnings
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import optuna
import pytest
from hydra.core.config_store import ConfigStore
from omegaconf import OmegaConf

from digitcmp.config.samplers import choices, keys_of
from digitcmp.plugins.official import OBJECTS, SamplerSettings, Settings
from tests.conftest import Ended

Cli = Callable[..., Ended]
SMALL = ["model=wsn", "epochs=1", "batch_size=20", "data.train_pairs=60", "data.val_pairs=20", "data.test_pairs=20", "engine=serial"]
SEARCH = ["--multirun", "hydra/sweeper=optuna", *SMALL, "hydra.sweeper.n_trials=1", "hydra.sweep.dir=out"]
SPACE = "aux_weight=interval(0,2)"
KEYS, SAMPLER = "hydra.sweeper", "hydra.sweeper.sampler"
URLS = "use sqlite:///FILE or postgresql+psycopg://USER:PASSWORD@HOST/DATABASE, or null"
WHOLE, SHARE = "must be a whole number, at least", "must be a finite number, at least 0, at most 1"
REFUSED = {  # what is typed, the first of it quoted, and what is said of it
    "seed=choice(0,1)": "every trial is trained on the same seeds; rounds=R takes R of them",
    "rounds=range(1,3)": "every trial is trained on the same seeds; give their number once, as in rounds=3",
    f"{KEYS}.direction=[maximize,minimize]": "a run has one objective; give one direction",
    **{f"{KEYS}.direction={one}": "choose one of maximize, minimize" for one in ("maximise", "MAXIMIZE", "2", "true", "null", "{a:1}")},
    **{f"{KEYS}.n_jobs={number}": f"{WHOLE} 1" for number in (-1, 0)},
    **{f"{KEYS}.n_trials={number}": f"{WHOLE} 1, at most 100,000" for number in (-3, 0, 10**10)},
    f"{KEYS}.n_trials=many": "must be a whole number",
    **{f"{KEYS}.max_failure_rate={number}": SHARE for number in ("-1", "2", "nan")},
    f"{KEYS}.study_name=": "it is empty; a name has at most 100 characters: letters, digits, blanks and _-.,=+:@%()[], and begins with a "
    "letter or a digit",
    **{f"{KEYS}.storage={one}": URLS for one in ("file", "sqlit:///x.db", "5", "true", "[a]", "{a:1}", "")},
    f"{KEYS}.storage=journal:///x": f"a journal is for hydra/sweeper=digitcmp_optuna; here, {URLS}",
    f"{KEYS}.storage=oracle+cx_oracle://a/b": f"needs the package cx_Oracle; install it, or {URLS}",
    f"{KEYS}.storage=sqlite:///nowhere/x.db": "unable to open database file; is it there, and may it be written?",
    f"{KEYS}.custom_search_space=math.sqrt": "Target 'math.sqrt' is not in the Hydra execution whitelist; its code must be let in by "
    "Hydra; conditions and points to begin with are those of hydra/sweeper=digitcmp_optuna",
    f"+{KEYS}.n_trial=3": f"there is no such key (did you mean {KEYS}.n_trials?); {KEYS} has sampler, direction, storage, study_name, "
    "n_trials, n_jobs, max_failure_rate, params, custom_search_space",
    f"{SAMPLER}=random": "this is a group; choose one so: hydra/sweeper/sampler=random",
    **{
        f"{plus}{SAMPLER}.sed=1": f"there is no such key (did you mean {SAMPLER}.seed?); --cfg hydra -p {SAMPLER} shows those of the "
        "chosen sampler"
        for plus in ("", "+")
    },
    f"{SAMPLER}.popsize=3": "the chosen sampler has no such key; it belongs to hydra/sweeper/sampler=cmaes",
    f"{SAMPLER}._target_=os.system": "Hydra makes no sampler of this; leave it out, and choose one by hydra/sweeper/sampler",
    **{f"{SAMPLER}.seed={number}": f"{WHOLE} 0, at most 4,294,967,295" for number in (-1, 2**32)},
    f"{SAMPLER}.n_startup_trials=-1": f"{WHOLE} 0",
    f"{SAMPLER}.n_ei_candidates=0": f"{WHOLE} 1, at most 1,000,000",
    **{f"{SAMPLER}.prior_weight={number}": "must be a finite number, above 0" for number in (-1, 0)},
    f"{SAMPLER}.group=true": "``group`` option can only be enabled when ``multivariate`` is enabled",
    f"{SAMPLER}.constraints_func=f": "must be null",
    f"{SAMPLER}.population_size=1 hydra/sweeper/sampler=nsgaii": f"{WHOLE} 2",
    f"{SAMPLER}.crossover_prob=2 hydra/sweeper/sampler=nsgaii": SHARE,
    f"{SAMPLER}.crossover=x hydra/sweeper/sampler=nsgaii": f"must be null, or say what it is made of, as in "
    f"'{SAMPLER}.crossover={{_target_: optuna.samplers.nsgaii.UniformCrossover}}'",
    f"{SAMPLER}.dividing_parameter=0 hydra/sweeper/sampler=nsgaiii": f"{WHOLE} 1",
    f"{SAMPLER}.qmc_type=x hydra/sweeper/sampler=qmc": "choose one of sobol, halton",
    "hydra/sweeper/sampler=motpe": "The 'motpe' sampler was removed in Optuna 4.0. Use 'hydra/sweeper/sampler=tpe' instead. TPESampler now "
    "handles multi-objective optimization",
    "optimizer.lr=interval(1,0)": "this space cannot be searched (`low <= high` must hold, but got (low=1.0, high=0.0))",
    "optimizer.lr=tag(log,interval(0,1))": "this space cannot be searched (`low > 0` must hold for `log=True`, but got "
    "(low=0.0, high=1.0))",
    "optimizer.lr=interval(0,1) hydra/sweeper/sampler=grid": "a grid has values that are listed, as in 'optimizer.lr=choice(0.1,0.2)' "
    "or 'optimizer.lr=range(0,1,0.1)'",
}


@pytest.mark.parametrize("typed", REFUSED)
def test_what_the_official_sweeper_is_refused(run_cli: Cli, tmp_path: Path, typed: str) -> None:
    """Values out of range, misspelt ones and keys that there are not, searching for luck, and for two things at once: before anything is
    written, whenever the sweeper itself would say so."""
    first = typed.split(" ")[0]
    space = [] if "sampler=grid" in typed else [SPACE]
    ended = run_cli(*SEARCH, *space, *typed.split(" "))
    quoted = first.removeprefix("+")
    assert (ended.code, ended.err.splitlines()[-1]) == (1, f"digitcmp: {quoted}: {REFUSED[typed]}")
    assert len(ended.err.splitlines()) == 1 or "storage" in typed  # a warning of Optuna's
    assert not list(tmp_path.iterdir())


def test_nothing_to_search(run_cli: Cli, tmp_path: Path) -> None:
    """All trials would be the same one; also where a space was typed, and a value beside it, which counts wherever it stands."""
    for given in (["aux_weight=1"], ["aux_weight=1", SPACE], [SPACE, "aux_weight=1"]):
        ended = run_cli(*SEARCH, *given)
        told = "digitcmp: there is nothing to search; give a key a space, as in 'optimizer.lr=tag(log,interval(0.01,1))'\n"
        assert (ended.code, ended.err) == (1, told)
    assert not list(tmp_path.iterdir())


def test_a_package_that_is_missing(run_cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which a sampler imports when its first trials are through."""
    monkeypatch.setattr("digitcmp.plugins.official.find_spec", lambda _: None)
    ended = run_cli(*SEARCH, SPACE, "hydra/sweeper/sampler=cmaes")
    told = "digitcmp: hydra/sweeper/sampler=cmaes: needs the package cmaes; pip install cmaes, or choose tpe\n"
    assert (ended.code, ended.err) == (1, told)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("direction", "word", "pick"), [("minimize", "lowest", min), ("maximize", "best", max)])
def test_the_end_says_what_was_looked_for(run_cli: Cli, direction: str, word: str, pick: Callable[[list[float]], float]) -> None:
    """The lowest accuracy is not the best."""
    store = [f"{KEYS}.storage=sqlite:///study.db", f"{KEYS}.study_name=s"]
    ended = run_cli(*SEARCH, *store, SPACE, "optimizer.lr=interval(0.001,1)", f"{KEYS}.n_trials=3", f"{KEYS}.direction={direction}")
    assert ended.code == 0, ended.err
    with warnings.catch_warnings(action="ignore"):
        values = [trial.value or 0.0 for trial in optuna.load_study(study_name="s", storage="sqlite:///study.db").trials]
    assert f"\n{word} validation accuracy {pick(values):.2%}: aux_weight=" in f"\n{ended.out}"
    other = {"minimize": "maximize", "maximize": "minimize"}[direction]
    again = run_cli(*SEARCH, *store, SPACE, f"{KEYS}.n_trials=1", f"{KEYS}.direction={other}")
    told = f"the study s of this storage is to {direction}; give it that direction, or another {KEYS}.study_name"
    assert (again.code, again.err) == (1, f"digitcmp: {KEYS}.direction={other}: {told}\n")


def test_keys_that_are_checked_are_there() -> None:
    """All that have ranges here are keys of Hydra's sweeper and its samplers, by these names."""
    sweeper = OmegaConf.get_type(ConfigStore.instance().load("hydra/sweeper/optuna.yaml").node)
    assert {item.name for item in fields(Settings)} < {item.name for item in fields(sweeper)}
    assert {*OBJECTS, *(item.name for item in fields(SamplerSettings))} < {name for choice in choices() for name in keys_of(choice)}
