"""A trained network asked from Python."""

from typing import Any

import numpy as np
import pytest
import torch

import digitcmp
from digitcmp.errors import DataError
from digitcmp.experiment.networks import TrainedNetwork
from tests.conftest import compose_config
from tests.experiment.made import train_run

GREY = np.zeros((3, 2, 14, 14))
NO_IMAGES: dict[str, tuple[object, str]] = {
    "text": ("a.png", "a str is no array of pairs of images"),
    "objects": (np.array([None, "x"], dtype=object), "a ndarray is no array of pairs of images"),
    "one pair": (GREY[0], r"their shape is \[2, 14, 14\]; it must be \[pairs, 2, 14, 14\]"),
    "no pair": (GREY[:0], r"their shape is \[0, 2, 14, 14\]"),
    "large": (np.zeros((3, 2, 28, 28)), r"their shape is \[3, 2, 28, 28\]"),
    "bytes": (GREY.astype("uint8"), r"they are uint8; give floats in \[0, 1\]"),
    "not scaled": (GREY + 255, r"not all values are in \[0, 1\]"),
    "negative": (GREY - 0.1, r"not all values are in \[0, 1\]"),
    "not a number": (GREY * np.nan, r"not all values are in \[0, 1\]"),
}


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> TrainedNetwork:
    """A trained network."""
    folder = tmp_path_factory.mktemp("kept")
    train_run(
        compose_config("model=net2", "save_model=true", "epochs=1", "data.train_pairs=100", "data.test_pairs=50", "engine=serial"), folder
    )
    return digitcmp.load_model(folder)


@pytest.mark.parametrize(("images", "told"), NO_IMAGES.values(), ids=NO_IMAGES)
def test_what_is_no_pairs_of_images(images: Any, told: str, kept: TrainedNetwork) -> None:
    """Is refused in a line: nothing is taken for ink and paper that is not."""
    with pytest.raises(DataError, match=f"^images: {told}"):
        kept.compare(images)


def test_arrays_are_images_too(kept: TrainedNetwork) -> None:
    """Of NumPy, of either precision; also one that may not be written, and views that go backwards or repeat."""
    random = np.random.default_rng(0).random((50, 2, 14, 14))
    answers = kept.compare(torch.from_numpy(random.astype("float32")))
    assert answers.dtype == torch.bool
    for given in (random, random.astype("float32"), random.astype(">f4"), random.astype(">f8"), torch.from_numpy(random)):
        assert torch.equal(kept.compare(given), answers)
    fixed = random.astype("float32")
    fixed.setflags(write=False)
    assert torch.equal(kept.compare(fixed), answers)
    assert torch.equal(kept.compare(fixed[::-1, ::-1, ::-1, ::-1][::-1, ::-1, ::-1, ::-1][::-1]), answers.flip(0))
    assert kept.compare(np.broadcast_to(fixed[:1], (3, 2, 14, 14))).tolist() == 3 * [bool(answers[0])]
