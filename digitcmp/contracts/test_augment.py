"""The promises of every augmentation (`digitcmp.contracts.augmentation`), for those that were asked for."""

import pytest

from digitcmp.contracts.augmentation import PROMISES
from digitcmp.contracts.telling import Keeps


@pytest.mark.parametrize("promise", PROMISES)
def test_augment(keeps: Keeps, promise: str) -> None:
    """One promise of one of them."""
    keeps(PROMISES[promise])
