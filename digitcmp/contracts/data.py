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
    for name, split in (("train", source.train), ("test", source.test)):
        fault = fault_of(split)
        assert fault == "", f"{name}: {fault}; return float32 images in [0, 1] or uint8, [N, s, s], and labels int64 [N] in 0 … 9"
        assert split.images.min() < split.images.max(), f"{name}: all pixels are the same; look at how the file is read"
        assert len({*split.labels.tolist()}) > 1, f"{name}: there is one class; mix the images before they are split"
    only = {*source.train.labels.tolist()} ^ {*source.test.labels.tolist()}
    assert not only, f"{', '.join(map(str, sorted(only)))} are labels of train or test alone; split each class"


def it_is_the_same_whenever_it_is_read(config: Config) -> None:
    """The split is made once and for all: no run sees another one."""
    one, two = (read(config.data.source, config.data.root) for _ in range(2))
    words = "{} are others when it is read again; split and draw with a seed of its own that stays, and sort the names of files"
    for part in ("train", "test"):
        for of in ("images", "labels"):
            assert torch.equal(*(getattr(getattr(source, part), of) for source in (one, two))), words.format(f"{part} {of}")
    assert one.fingerprint == two.fingerprint, words.format("its name or whether images repeat")


def rounds_are_made_of_it(config: Config) -> None:
    """Pairs of a seed, the same for the same seed and others for another one."""
    source, data = source_of(config), config.data
    first, again, other = (make_round(source, seed, data.train_pairs, data.test_pairs, data.val_pairs, data.target) for seed in (0, 0, 1))
    assert torch.equal(first.train.images, again.train.images), "the same seed gives other pairs; return the same tensors each time"
    assert not torch.equal(first.train.images, other.train.images), "another seed gives the same pairs; there are too few images"
    assert torch.isfinite(first.train.images).all(), "normalised images are not finite; look for images without any difference"


PROMISES: dict[str, Callable[[Config], None]] = {
    promise.__name__: promise for promise in (images_and_labels_have_their_form, it_is_the_same_whenever_it_is_read, rounds_are_made_of_it)
}
