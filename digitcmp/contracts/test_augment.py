"""The promises of every augmentation (`digitcmp.contracts.augmentation`), for those that were asked for."""

import pytest

from digitcmp.config.schema import Config
from digitcmp.contracts.augmentation import PROMISES


@pytest.mark.parametrize("promise", PROMISES)
def test_augment(asked: Config, promise: str) -> None:
    """One promise of one of them."""
    PROMISES[promise](asked)
