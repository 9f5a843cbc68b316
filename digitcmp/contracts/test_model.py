"""The promises of every network (`digitcmp.contracts.network`), for those that were asked for."""

import pytest

from digitcmp.config.schema import Config
from digitcmp.contracts.network import PROMISES


@pytest.mark.parametrize("promise", PROMISES)
def test_model(asked: Config, promise: str) -> None:
    """One promise of one of them."""
    PROMISES[promise](asked)
