"""What every data set promises: functions of a configuration, which raise AssertionError where it is not kept."""

from collections.abc import Callable

import torch

from digitcmp.config.schema import Config
from digitcmp.data.pairs import make_round
from digitcmp.data.sources import Source, fault_of, load, read


def source_of(config: Config) -> Source:
    """The data set of a configuration, read once per process."""
    return load(config.data.source, config.data.root, None, config.data.size)


def images_and_labels_have_their_form(config: Config) -> None:
    """Float images in [0, 1], more than one brightness among them; the same classes in both splits, more than one."""
    source = source_of(config)
    for split in (source.train, source.test):
        assert fault_of(split) == ""
        assert split.images.min() < split.images.max()
        assert len({*split.labels.tolist()}) > 1
    assert {*source.train.labels.tolist()} == {*source.test.labels.tolist()}


def it_is_the_same_whenever_it_is_read(config: Config) -> None:
    """The split is made once and for all: no run sees another one."""
    one, two = (read(config.data.source, config.data.root) for _ in range(2))
    assert one.fingerprint == two.fingerprint
    for part in ("train", "test"):
        assert torch.equal(getattr(one, part).images, getattr(two, part).images)
        assert torch.equal(getattr(one, part).labels, getattr(two, part).labels)


def rounds_are_made_of_it(config: Config) -> None:
    """Pairs of a seed, the same for the same seed and others for another one."""
    source, data = source_of(config), config.data
    first, again, other = (make_round(source, seed, data.train_pairs, data.test_pairs, data.val_pairs, data.target) for seed in (0, 0, 1))
    assert torch.equal(first.train.images, again.train.images)
    assert not torch.equal(first.train.images, other.train.images)
    assert torch.isfinite(first.train.images).all()


PROMISES: dict[str, Callable[[Config], None]] = {
    promise.__name__: promise for promise in (images_and_labels_have_their_form, it_is_the_same_whenever_it_is_read, rounds_are_made_of_it)
}
