"""The boundary of the package: against the published one, against a fresh simulation, and between the table's columns."""

import numpy as np
import pytest
from scipy import stats

from benchmarks import boundary as simulation
from digitcmp.auto.boundary import ALPHAS, boundary, nominal_level, table
from digitcmp.config.schema import MOST_LOOKS
from digitcmp.errors import ConfigError

# Jennison and Turnbull (1999), table 2.1: C_P(K, alpha)
PUBLISHED = {
    0.01: {1: 2.576, 2: 2.772, 3: 2.873, 4: 2.939, 5: 2.986, 10: 3.117, 20: 3.225},
    0.05: {1: 1.960, 2: 2.178, 3: 2.289, 4: 2.361, 5: 2.413, 10: 2.555, 20: 2.672},
    0.1: {1: 1.645, 2: 1.875, 3: 1.992, 4: 2.067, 5: 2.122, 10: 2.270, 20: 2.392},
}


@pytest.mark.parametrize("alpha", PUBLISHED)
def test_it_is_the_published_boundary(alpha: float) -> None:
    """Pocock's constants, to the error of the simulation."""
    for looks, published in PUBLISHED[alpha].items():
        assert boundary(alpha, looks) == pytest.approx(published, abs=0.003)


def test_the_table_is_what_its_script_simulates() -> None:
    """Few walks with another seed agree as far as so many can; the larger of two shares has the lower boundary, and fewer looks too."""
    walks = 40_000
    found = simulation.boundaries(simulation.count(walks, seed=7))
    assert table().shape == found.shape == (MOST_LOOKS, len(ALPHAS))
    for place, alpha in enumerate(ALPHAS[:6]):
        error = 4 * np.sqrt(alpha / walks) / (2 * stats.norm.pdf(stats.norm.isf(alpha / 2)))
        assert np.abs(found - table())[:, place].max() < error
    assert (np.diff(table(), axis=0) > 0).all()
    assert (np.diff(table(), axis=1) > 0).all()


@pytest.mark.parametrize("looks", [2, 10, 100])
def test_between_two_columns(looks: int) -> None:
    """A column left out is found again from its neighbours, far more finely spaced as they are here."""
    for left, alpha, right in zip(ALPHAS[1:-2], ALPHAS[2:-1], ALPHAS[3:], strict=True):
        squares = [boundary(left, looks) ** 2, boundary(right, looks) ** 2]
        guess = np.sqrt(np.interp(-np.log(alpha), -np.log([left, right]), squares))
        assert guess == pytest.approx(boundary(alpha, looks), abs=0.02)


def test_one_look_spends_everything() -> None:
    """Ten looks leave each a fifth of it; three comparisons a third of that."""
    assert nominal_level(0.05, 1) == pytest.approx(0.05, abs=2e-4)
    assert nominal_level(0.05, 10) == pytest.approx(0.0106, abs=2e-4)
    assert nominal_level(0.05 / 3, 10) == pytest.approx(0.0032, abs=2e-4)


def test_beyond_the_table() -> None:
    """Too many comparisons for the level are refused."""
    with pytest.raises(ConfigError, match=r"auto.level: each comparison would have 5e-05 of it"):
        boundary(0.05 / 1000, 10)
