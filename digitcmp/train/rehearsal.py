"""A few steps with made-up pairs, before anything is trained: what parts of others remember that they must not is seen then, and not when
an epoch has been trained."""

import warnings
from dataclasses import asdict, replace

import torch

from digitcmp.config.schema import Config
from digitcmp.config.taken import plugins_of
from digitcmp.data.pairs import Pairs, RoundPairs
from digitcmp.errors import DigitcmpError
from digitcmp.model.network import build
from digitcmp.seeding import MemberSeed, Stream, generator
from digitcmp.train.loop import Training
from digitcmp.train.program import make_program
from digitcmp.train.round import CPU, train_spec

PAIRS, BATCH = 6, 2  # batch norm takes no fewer


def rehearse(config: Config) -> None:
    """Raise ConfigError for parts of others that are refused in a first epoch: for what they remember, say. What they raise themselves is
    left to the rounds, which say of what they fail. Nothing is done where no part is of others."""
    if not plugins_of(asdict(config)):
        return
    few = replace(config, epochs=2, batch_size=BATCH, ensemble=1, test_every=1, seed=0, data=replace(config.data, val_pairs=0))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # they come with the rounds
            program = make_program([build(few.model, generator(MemberSeed(0), Stream.WEIGHTS), CPU, few.data.size)])
            training = Training(program, made_up(few.data.size), [0], train_spec(few))
            epoch = next(iter(training.epochs()))
            if config.checkpoint_every:
                epoch.state()
    except DigitcmpError:
        raise
    except (Exception, SystemExit):
        return


def made_up(size: int) -> RoundPairs:
    """Pairs of a round, of noise, images of so many pixels in height and width."""
    random = torch.Generator().manual_seed(0)
    images = torch.randn(1, PAIRS, 2, size, size, generator=random)
    digits = torch.randint(0, 10, (1, PAIRS, 2), generator=random)
    pairs = Pairs(images, torch.arange(PAIRS)[None] % 2, digits)
    return RoundPairs(pairs, Pairs(images.clone(), pairs.target, digits), None, torch.zeros(1), torch.ones(1))
