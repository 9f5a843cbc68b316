"""The promises of every data set (`digitcmp.contracts.data`), for those that were asked for."""

import pytest

from digitcmp.config.schema import Config
from digitcmp.contracts.data import PROMISES


@pytest.mark.parametrize("promise", PROMISES)
def test_data(asked: Config, promise: str) -> None:
    """One promise of one of them."""
    PROMISES[promise](asked)
