"""The promises of every network (`digitcmp.contracts.network`), for those that were asked for."""

import pytest

from digitcmp.contracts.network import PROMISES
from digitcmp.contracts.telling import Keeps


@pytest.mark.parametrize("promise", PROMISES)
def test_model(keeps: Keeps, promise: str) -> None:
    """One promise of one of them."""
    keeps(PROMISES[promise])
