"""The promises of every data set (`digitcmp.contracts.data`), for those that were asked for."""

import pytest

from digitcmp.contracts.data import PROMISES
from digitcmp.contracts.telling import Keeps


@pytest.mark.parametrize("promise", PROMISES)
def test_data(keeps: Keeps, promise: str) -> None:
    """One promise of one of them."""
    keeps(PROMISES[promise])
