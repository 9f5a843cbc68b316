"""Everything random in a round comes from here: independent streams derived from the round's seed.

A stream belongs to a purpose, so that a new use of randomness never shifts the numbers of another one, and networks
that draw different numbers of weights still see the same pairs. Generators live on the CPU whatever the device is.
Method: `numpy.random.SeedSequence` (O'Neill's hash of entropy and a spawn key), which keeps streams of
neighbouring seeds apart.
"""

import math
from enum import IntEnum
from typing import NamedTuple

import numpy as np
import torch


class Stream(IntEnum):
    """What a stream of random numbers is used for. The values are part of a result's identity: never renumber them."""

    PAIRS = 0
    WEIGHTS = 1
    ORDER = 2
    DROPOUT = 3
    AUGMENT = 4
    PAIRING = 5
    LOSS = 6
    MIXUP = 7
    LABEL_NOISE = 8
    IMBALANCE = 9
    TEST_DROPOUT = 10


class MemberSeed(NamedTuple):
    """What a network's random numbers come from: the seed of its round, and its index in the round's ensemble.

    The first member has the numbers of a network without ensemble, so that an ensemble of one changes nothing.
    """

    seed: int
    member: int = 0


def sequence(seed: int | MemberSeed, stream: Stream) -> np.random.SeedSequence:
    """The seed sequence of one stream of one round (given as its seed), or of one member of its ensemble."""
    entropy, member = seed if isinstance(seed, MemberSeed) else MemberSeed(seed)
    return np.random.SeedSequence(entropy, spawn_key=(int(stream), member) if member else (int(stream),))


def generator(seed: int | MemberSeed, stream: Stream) -> torch.Generator:
    """A CPU generator at the start of one stream of one round or member."""
    state = int(sequence(seed, stream).generate_state(1, np.uint64)[0])
    return torch.Generator().manual_seed(state)


def step_keys(seed: int | MemberSeed, stream: Stream, steps: int, uses: int) -> torch.Tensor:
    """One 32-bit key per step and use, shape [steps, uses] int32: the input of counter-based random numbers (see `uniform`)."""
    words = sequence(seed, stream).generate_state(max(1, steps * uses), np.uint32)[: steps * uses]
    return torch.from_numpy(words.astype(np.int64).reshape(steps, uses)).to(torch.int32)


def uniform(key: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
    """Numbers in [0, 1), a function of (key, position) alone: the same on every device and in every engine.

    key: int32, a scalar or any number of keys. Returns float32 of the given shape, for each key. Method: the position and the key
    pass the 32-bit integer hash "lowbias32" (C. Wellons, hash-prospector, 2018), a counter-based generator in the sense of
    Salmon et al. (2011), which needs no state and so can run for many rounds at once.
    """
    counter = torch.arange(math.prod(shape), dtype=torch.int32, device=key.device)
    bits = _hash32(_hash32(counter) ^ key[..., None])
    return ((bits >> 8) & 0xFFFFFF).to(torch.float32).mul(2.0**-24).reshape(*key.shape, *shape)


def _hash32(x: torch.Tensor) -> torch.Tensor:
    # int32 arithmetic wraps (and its constants are signed); its right shift keeps the sign, so the shifted-in bits are masked away
    x = (x ^ ((x >> 16) & 0xFFFF)) * 0x7FEB352D
    x = (x ^ ((x >> 15) & 0x1FFFF)) * (0x846CA68B - (1 << 32))
    return x ^ ((x >> 16) & 0xFFFF)
