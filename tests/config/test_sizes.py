"""What a configuration asks for, estimated before anything is built."""

import os
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from digitcmp.config import sizes
from digitcmp.errors import ConfigError
from digitcmp.model.network import count_parameters
from digitcmp.report.study import study
from tests.conftest import MODELS, choices, compose_config, compose_tree, needs_aux
from tests.experiment.made import train_run

SMALL = ["data.train_pairs=40", "data.test_pairs=20", "batch_size=20", "epochs=1"]


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("norm", ["false", "true"])
def test_parameters_are_counted_without_torch(name: str, norm: str) -> None:
    """As many as the network itself has, with and without batch norm."""
    if norm == "true" and "norm: true" not in OmegaConf.to_yaml(compose_tree(f"model={name}").model):
        pytest.skip("there is no place for batch norm")
    config = compose_config(f"model={name}", f"model.batchnorm={norm}", *(["aux_weight=1"] if needs_aux(name) else []))
    assert sizes.parameters(config.model) == count_parameters(config.model)


@pytest.mark.parametrize("name", choices("experiment"))
def test_every_recipe_is_far_from_the_limit(name: str) -> None:
    """A round of a published recipe takes megabytes."""
    assert sum(sizes.round_memory(compose_config(f"+experiment={name}")).values()) < 2 * 10**9


def test_an_estimate_grows_with_what_it_counts() -> None:
    """Every key that an error may name."""
    base = sizes.round_memory(compose_config("model=net2"))
    for key, bound in (("data.train_pairs", 1000), ("data.test_pairs", 1000), ("epochs", 25), ("ensemble", 1)):
        more = sizes.round_memory(compose_config("model=net2", f"{key}={7 * bound}"))
        assert sum(more.values()) > sum(base.values()), key
        assert f"{key}={7 * bound}" in more


def test_the_limit_is_that_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A line with the estimate, the limit, and what to change; so many rounds side by side as fit are allowed."""
    config = compose_config("model=net2", "rounds=100", "workers=50")
    needed = sum(sizes.round_memory(config).values())
    sizes.check_memory(config)
    monkeypatch.setattr(sizes, "memory", lambda: needed - 1)
    with pytest.raises(ConfigError, match=r"^model=net2 with batch_size=100: a round takes about .* MB of memory; there are .* MB$"):
        sizes.check_memory(config)
    monkeypatch.setattr(sizes, "memory", lambda: 10 * needed)
    with pytest.raises(ConfigError, match=r"^50 rounds side by side take about .* of memory; there are .*; use workers=10$"):
        sizes.check_memory(config)
    config.workers = 10
    sizes.check_memory(config)
    config.workers, config.engine, config.stack_size = None, "stacked", 20
    with pytest.raises(ConfigError, match=r"^20 rounds side by side .*; use stack_size=10$"):
        sizes.check_memory(config)


def test_memory_is_the_machines_or_less() -> None:
    """A container may have less."""
    assert 0 < sizes.memory() <= os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


@pytest.mark.parametrize(
    ("size", "words"), [(0, "0 bytes"), (999, "999 bytes"), (1_600_000, "1.6 MB"), (10**15, "1 PB"), (10**18, "1,000 PB")]
)
def test_sizes_in_words(size: int, words: str) -> None:
    """Three digits, and never a power."""
    assert sizes.in_words(size) == words
    assert sizes.in_words(10**400).endswith("PB")


@pytest.mark.parametrize(
    ("arguments", "jobs"),
    [([], 1), (["a=1,2", "b=choice(x,y,z)"], 6), (["a=range(10)", "b=range(0,1,0.25)"], 40), (["a=glob(*)"], 1), (["a=range(5,1)"], 1)],
)
def test_jobs_are_counted_and_never_listed(arguments: list[str], jobs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the sweeper would list them."""
    monkeypatch.setattr(sizes, "MOST_JOBS", jobs)
    sizes.check_jobs(arguments)
    monkeypatch.setattr(sizes, "MOST_JOBS", jobs - 1)
    with pytest.raises(ConfigError, match=rf"this makes {jobs} jobs"):
        sizes.check_jobs(arguments or ["a=1"])


def test_a_seed_at_the_limit_trains(tmp_path: Path) -> None:
    """And is reported: every number that is allowed can be kept, read and tabled."""
    config = compose_config("model=net2", f"seed={2**53}", "engine=serial", *SMALL)
    train_run(config, tmp_path / "run")
    assert study([tmp_path / "run"]).rounds["seed"].tolist() == [2**53]
