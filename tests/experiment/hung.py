"""What makes workers hang in seed 1, once it is imported where they are forked (see test_server.py): a C call that waits for ever, and
has let go of Python's lock."""

import ctypes
from collections.abc import Sequence
from typing import Any

from digitcmp.experiment.executors import serial, worker
from digitcmp.train import round

train_rounds = round.train_rounds


def hanging(config: Any, seeds: Sequence[int], *rest: Any) -> Any:
    """As `train_rounds`, but for seed 1."""
    while 1 in seeds:  # a signal ends a pause
        ctypes.CDLL(None).pause()
    return train_rounds(config, seeds, *rest)


vars(serial).update(train_rounds=hanging)
vars(worker).update(IDLE=4)
