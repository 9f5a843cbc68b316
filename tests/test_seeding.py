"""Random numbers: streams of their own, and a uniform distribution from counters."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy.stats import kstest

from digitcmp.seeding import Stream, generator, step_keys, uniform

MASK = 0xFFFFFFFF
COUNT = 100_000
KEYS = [0, 1, -1, 2**31 - 1, -(2**31), 123_456_789]


def key(value: int) -> torch.Tensor:
    """A key as the training loop has it."""
    return torch.tensor(value, dtype=torch.int32)


def lowbias32(x: int) -> int:
    """C. Wellons' hash, in Python's own integers."""
    x ^= x >> 16
    x = x * 0x7FEB352D & MASK
    x ^= x >> 15
    x = x * 0x846CA68B & MASK
    return x ^ x >> 16


def first_numbers(seed: int, stream: Stream) -> tuple[float, ...]:
    """The start of a stream."""
    return tuple(torch.rand(4, generator=generator(seed, stream)).tolist())


def test_streams_and_seeds_differ() -> None:
    """Every stream of every seed is its own, seed 0's and big neighbouring seeds' too."""
    seeds = [0, 1, 2, 2**32, 2**32 + 1, 10**12, 10**12 + 1]
    starts = [first_numbers(seed, stream) for seed in seeds for stream in Stream]
    assert len(set(starts)) == len(starts)
    keys = [tuple(step_keys(seed, stream, 2, 2).flatten().tolist()) for seed in seeds for stream in Stream]
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize("seed", [0, 1, 10**12])
def test_a_seed_always_gives_the_same_numbers(seed: int) -> None:
    """Nothing but the seed decides: seed 0 is a seed like any other."""
    for stream in Stream:
        assert first_numbers(seed, stream) == first_numbers(seed, stream)
        assert torch.equal(step_keys(seed, stream, 3, 2), step_keys(seed, stream, 3, 2))


def test_streams_keep_their_numbers() -> None:
    """Stored results depend on them."""
    expected = {"PAIRS": 0, "WEIGHTS": 1, "ORDER": 2, "DROPOUT": 3, "AUGMENT": 4, "PAIRING": 5}
    assert expected.items() <= {stream.name: stream.value for stream in Stream}.items()


def test_seeding_leaves_global_generators_alone() -> None:
    """Making generators and keys draws from and seeds nothing else."""
    before = torch.get_rng_state()
    generator(5, Stream.PAIRS)
    uniform(step_keys(5, Stream.DROPOUT, 2, 2)[0, 0], (10,))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(("steps", "uses"), [(1, 1), (250, 3), (7, 0)])
def test_step_keys(steps: int, uses: int) -> None:
    """One int32 key per step and use, all different, of both signs."""
    keys = step_keys(0, Stream.DROPOUT, steps, uses)
    assert keys.shape == (steps, uses)
    assert keys.dtype == torch.int32
    assert len(keys.unique()) == keys.numel()
    if keys.numel() > 100:
        assert (keys < 0).float().mean().item() == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize("value", KEYS)
def test_uniform_is_the_published_hash(value: int) -> None:
    """The top 24 bits of lowbias32(lowbias32(position) ^ key), as an independent implementation computes them."""
    expected = [(lowbias32(lowbias32(position) ^ (value & MASK)) >> 8) / 2**24 for position in range(500)]
    assert uniform(key(value), (500,)).tolist() == expected


def test_uniform_depends_on_the_position_alone() -> None:
    """The shape only arranges the numbers; a longer draw begins with the shorter one."""
    flat = uniform(key(9), (60,))
    assert flat.dtype == torch.float32
    assert torch.equal(uniform(key(9), (3, 4, 5)), flat.view(3, 4, 5))
    assert torch.equal(uniform(key(9), (7,)), flat[:7])


@pytest.mark.parametrize("value", KEYS)
def test_uniform_numbers_are_uniform(value: int) -> None:
    """In [0, 1), mean 1/2, variance 1/12, and no sign of another distribution or of neighbours that depend on each other."""
    drawn = uniform(key(value), (COUNT,)).double().numpy()
    assert drawn.min() >= 0
    assert drawn.max() < 1
    assert drawn.mean() == pytest.approx(1 / 2, abs=0.005)
    assert drawn.var() == pytest.approx(1 / 12, abs=0.001)
    assert kstest(drawn, "uniform").pvalue > 1e-4
    assert abs(np.corrcoef(drawn[1:], drawn[:-1])[0, 1]) < 0.02


def test_numbers_of_two_keys_are_uncorrelated() -> None:
    """Neighbouring keys, and the keys of neighbouring steps, give independent masks."""
    keys = [*map(key, KEYS), *step_keys(0, Stream.DROPOUT, 3, 1).flatten()]
    drawn = [uniform(one, (COUNT,)).double().numpy() for one in keys]
    for one, two in pairwise(drawn):
        assert abs(np.corrcoef(one, two)[0, 1]) < 0.02
