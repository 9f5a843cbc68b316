"""data.size: the images, the networks and all that is asked of them follow."""

import csv
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from digitcmp.config.graph import graph
from digitcmp.data.sources import load
from digitcmp.draw import cli as draw
from digitcmp.errors import ConfigError
from digitcmp.experiment.executors import stacking
from digitcmp.experiment.networks import load_model
from digitcmp.mistakes import cli as mistakes
from digitcmp.model.network import build, count_parameters
from digitcmp.predict import cli as predict
from digitcmp.seeding import Stream, generator
from digitcmp.train.round import round_pairs, train_rounds
from tests.conftest import MODELS, Ended, compose_config, needs_aux
from tests.experiment.made import records_of, train_run
from tests.predict.test_pictures import drawn

CPU = torch.device("cpu")
SMALL = ["epochs=2", "data.train_pairs=100", "data.test_pairs=60", "batch_size=50", "engine=serial"]


@pytest.mark.parametrize("size", [20, 28])
@pytest.mark.parametrize("name", MODELS)
def test_every_network_follows(name: str, size: int) -> None:
    """It composes, has as many parameters as its graph says, and takes images of that size."""
    config = compose_config(f"model={name}", f"aux_weight={int(needs_aux(name))}", f"data.size={size}")
    assert sum(part.parameters for part in graph(config.model, size)) == count_parameters(config.model, size)
    network = build(config.model, generator(0, Stream.WEIGHTS), CPU, size).eval()
    assert len(network(torch.rand(3, 2, size, size)).comparison) == 3


def test_layers_that_do_not_fit_are_refused() -> None:
    """When it is composed, with the layer's name and the sizes around it; so is a size that is none."""
    with pytest.raises(ConfigError, match=r"^model\.tower\[\d\]: .*\(.* of \d+ x \d+ come to it\)$"):
        compose_config("model=net2", "data.size=4")
    for size in (3, 257):
        with pytest.raises(ConfigError, match=rf"^data\.size={size}: must be a whole number, at least 4, at most 256"):
            compose_config(f"data.size={size}")
    with pytest.raises(ConfigError, match=r"^data\.train_pairs=1000000: a round takes about .* of memory"):
        compose_config("data.size=256", "data.train_pairs=1000000", "model=lenet")


def test_rounds_of_another_size_train_alone_and_stacked() -> None:
    """With augmentation, columns and shifted views: pairs of that size, and a stack that is as good as each alone."""
    options = ["model=wsn", "aux_weight=1", "data.size=20", "augment=elastic", "columns=[plain,moments]", "ensemble=2", "tta_shift=1"]
    config = compose_config(*SMALL, *options)
    assert round_pairs(config.data, 0).train.images.shape == (100, 2, 20, 20)
    together = train_rounds(config, [3, 4], CPU, lambda *_: True)
    (alone,) = train_rounds(config, [4], CPU, lambda *_: True)
    assert together[1] is not None
    assert alone is not None
    assert together[1].row.train_loss == pytest.approx(alone.row.train_loss, abs=1e-3)
    assert stacking.round_memory(config) > 1.5 * stacking.round_memory(compose_config(*SMALL, *options, "data.size=14"))


def test_a_kept_network_knows_its_size(run_main: Callable[..., Ended], tmp_path: Path) -> None:
    """It is loaded, asked about its mistakes, about pictures and about arrays of any size, and answers as it did."""
    train_run(compose_config(*SMALL, "model=decoder_small", "aux_weight=1", "data.size=28", "save_model=true"), tmp_path / "run")
    network, test = load_model(tmp_path / "run"), load("digits", None, None, 28).test
    assert network.size == 28
    images, digits = test.images[:20].view(10, 2, 28, 28), test.labels[:20].view(10, 2)
    answers = network.compare(images)
    found = run_main(mistakes.main, tmp_path / "run")
    assert found.code == 0, found.err
    assert "as on record" in found.out
    (record,) = records_of(tmp_path / "run")
    assert record.row.test_accuracy is not None
    np.savez(tmp_path / "pairs.npz", images=images.numpy(), digits=digits.numpy())
    np.savez(tmp_path / "raw.npz", images=load("digits", None, None, 8).test.images[:20].view(10, 2, 8, 8).numpy())
    for file in ("pairs.npz", "raw.npz"):
        rows = csv.DictReader(io.StringIO(run_main(predict.main, tmp_path / "run", tmp_path / file, "--csv").out))
        assert [row["answer"] == "1" for row in rows] == answers.tolist()
    drawn().save(tmp_path / "seven.png")
    told = run_main(predict.main, tmp_path / "run", tmp_path / "seven.png", tmp_path / "seven.png")
    assert (told.code, "P(first ≤ second)" in told.out) == (0, True)


def test_it_is_drawn(run_main: Callable[..., Ended], tmp_path: Path) -> None:
    """With its shapes and parameters."""
    told = run_main(draw.main, "model=net2", "data.size=28", "--out", tmp_path)
    assert told.code == 0, told.err
    assert "Images: 2 × 28 × 28." in (tmp_path / "net2.md").read_text()
    model = compose_config("model=net2").model
    assert f"{count_parameters(model, 28):,} parameters" in told.out
    assert count_parameters(model, 28) > count_parameters(model)


def test_same_class_is_asked_of_predictions(run_main: Callable[..., Ended], tmp_path: Path) -> None:
    """What a network that was trained with data.target=same is asked, and how many of its answers are right."""
    options = ["model=decoder_small", "aux_weight=1", "data.target=same", "save_model=true"]
    train_run(compose_config(*SMALL, *options), tmp_path / "run")
    test = load("digits", None).test
    images, digits = test.images[:40].view(20, 2, 14, 14), test.labels[:40].view(20, 2)
    right = (load_model(tmp_path / "run").compare(images) == (digits[:, 0] == digits[:, 1])).sum().item()
    np.savez(tmp_path / "pairs.npz", images=images.numpy(), digits=digits.numpy())
    told = run_main(predict.main, tmp_path / "run", tmp_path / "pairs.npz")
    assert "P(first = second)" in told.out
    assert f"{right} of 20 pairs answered rightly" in told.out
    found = run_main(mistakes.main, tmp_path / "run", "--out", tmp_path / "mistakes")
    assert found.code == 0, found.err
