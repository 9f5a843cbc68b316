"""How much of an error each look may spend, so that all looks together spend no more than they may.

Looking ten times at 95 % intervals would call two equal configurations different in a sixth of all cases. Pocock's boundary (Pocock 1977;
Jennison and Turnbull 1999, section 2.4) is the same for every look and holds over all of them. `pocock.csv` has it, made once by
`python -m benchmarks.boundary`: a row for each number of looks, a column for each share alpha of walks without a difference that ever
exceed it. In between, its square is taken to be linear in log(alpha), which it nearly is (off by less than the table's last digit).
"""

from functools import cache
from pathlib import Path

import numpy as np
from scipy import stats

from digitcmp.errors import ConfigError

ALPHAS = (0.5, 0.2, 0.1, 0.05, 0.025, 0.01, 0.005, 0.0025, 0.001, 0.0005, 0.00025, 0.0001)


@cache
def table() -> "np.ndarray[tuple[int, int], np.dtype[np.float64]]":
    """pocock.csv without its heads: [looks, alphas]."""
    found = np.loadtxt(Path(__file__).with_name("pocock.csv"), delimiter=",", skiprows=1)
    return found[:, 1:]


def boundary(alpha: float, looks: int) -> float:
    """The standardised difference that some look exceeds, either way, in a share alpha of cases without one.

    Raises ConfigError for an alpha that the table does not reach.
    """
    if not ALPHAS[-1] <= alpha <= ALPHAS[0]:
        raise ConfigError(
            f"auto.level: each comparison would have {alpha:.2g} of it, and the boundary is known from {ALPHAS[-1]:g} to {ALPHAS[0]:g}; "
            "use another level, or fewer configurations"
        )
    squares = table()[looks - 1] ** 2
    return float(np.sqrt(np.interp(-np.log(alpha), -np.log(ALPHAS), squares)))


def nominal_level(alpha: float, looks: int) -> float:
    """What each look may spend: the two-sided level of its test, and 1 minus that of its interval. Raises as `boundary`."""
    return float(2 * stats.norm.sf(boundary(alpha, looks)))
