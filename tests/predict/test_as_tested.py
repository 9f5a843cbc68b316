"""Kept networks answer as they did in their test, whatever the configuration: the accuracy on record, from every way to ask them."""

import csv
import io
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import digitcmp
from digitcmp.config.targets import TARGETS
from digitcmp.demo.networks import Networks
from digitcmp.errors import RunError
from digitcmp.predict import cli
from digitcmp.predict.answers import load_kept
from digitcmp.train.round import round_pairs
from tests.conftest import Ended, compose_config
from tests.experiment.made import records_of, train_run

SMALL = ["rounds=2", "save_model=true", "engine=serial", "epochs=3", "data.train_pairs=200", "data.test_pairs=125", "batch_size=25"]
READS = ["model=decoder_small", "aux_weight=1"]
CONFIGURATIONS = {
    "one logit": ["model=net2"],
    "two logits": ["model=wsmodel1"],
    "raw test": ["model=net2", "data.normalize_test=false", "epochs=6"],
    "raw test of an ensemble": [*READS, "data.normalize_test=false", "ensemble=2", "tta_shift=0.5", "columns=[moments,plain]"],
    "raw test, the best weights": ["model=net1", "data.normalize_test=false", "data.val_pairs=50", "stopping.best=true"],
    "gt": ["model=net2", "data.target=gt"],
    "same": ["model=net2", "data.target=same"],
    "three": ["model=net2", "data.target=three", "model.comparator.outputs=3"],
    "three, raw test": ["model=net2", "data.target=three", "model.comparator.outputs=3", "data.normalize_test=false"],
    "read digits": READS,
    "dropout": ["model=wsn", "aux_weight=1", "model.dropout=0.5"],
    "batch norm": ["model=net4", "aux_weight=1"],
    "average of weights": [*READS, "ema=0.8"],
    "ensemble": [*READS, "ensemble=3"],
    "views": [*READS, "tta_shift=1"],
    "columns": [*READS, "columns=[moments]"],
    "all of these": [*READS, "ensemble=2", "columns=[moments,plain]", "tta_shift=0.5", "ema=0.8", "data.target=gt", "model.dropout=0.2"],
    "best weights": ["model=net2", "data.val_pairs=50", "stopping.best=true", "optimizer.lr=0.01", "epochs=6"],
    "stopped": ["model=net2", "data.val_pairs=50", "stopping.patience=1", "optimizer.lr=0.01", "epochs=8"],
    "tested now and then": ["model=net2", "test_every=2"],
    "small batches of the test": ["model=net4", "aux_weight=1", "test_batch=7"],
    "large images": ["model=net2", "data.size=28"],
    "odd images": ["model=net2", "data.size=11"],
    "noise": ["model=net2", "data.label_noise=0.2", "data.imbalance=0.2", "data.repair=true"],
    "one seed of the data": ["model=net2", "data.seed=7"],
    "folds": ["model=net2", "data.folds=4", "data.fold=1"],
    "augmented": [*READS, "augment=affine", "data.swap=true", "data.shuffle=true"],
    "other layers": ["model=net3", "aux_weight=1", "model.batchnorm=true", "model.weight_sharing=false", "model.dropout=0.2"],
    "stacked": ["model=net2", "engine=stacked", "data.normalize_test=false"],
}


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_the_accuracy_on_record(name: str, run_main: Callable[..., Ended], tmp_path: Path) -> None:
    """From the command and from Python, for the test pairs as the data set has them: the same answers, and as many right as on record."""
    config = compose_config(*SMALL, *CONFIGURATIONS[name])
    train_run(config, tmp_path / "run")
    for row in [record.row for record in records_of(tmp_path / "run")]:
        grey = round_pairs(replace(config.data, normalize_test=False), row.seed).test
        network = digitcmp.load_model(tmp_path / "run", row.seed)
        right = network.compare(grey.images).long() == grey.target
        assert right.double().mean().item() == pytest.approx(row.test_accuracy, abs=1e-9)
        np.savez(tmp_path / "pairs.npz", images=grey.images.numpy(), digits=grey.digits.numpy())
        ended = run_main(cli.main, tmp_path / "run", tmp_path / "pairs.npz", "--seed", row.seed, "--csv")
        rows = list(csv.DictReader(io.StringIO(ended.out)))
        assert [[int(one["first_digit"]), int(one["second_digit"])] for one in rows] == grey.digits.tolist()
        target = TARGETS[config.data.target]
        meant = torch.tensor([target.number(target.signs[answer]) for answer in grey.target.tolist()])
        assert torch.equal(torch.tensor([int(one["answer"]) for one in rows]) == meant, right)
        ended = run_main(cli.main, tmp_path / "run", tmp_path / "pairs.npz", "--seed", row.seed)
        assert f"{int(right.sum()):,} of {len(right)} pairs answered rightly" in ended.out
        if row.digit_accuracy is not None:
            read = torch.tensor([[int(one["first_read"]), int(one["second_read"])] for one in rows])
            assert (read == grey.digits).double().mean().item() == pytest.approx(row.digit_accuracy, abs=1e-9)


def test_the_page_answers_as_the_test(tmp_path: Path) -> None:
    """A random pair of test images, of a network whose test images were not normalised."""
    config = compose_config(*SMALL, *CONFIGURATIONS["raw test"])
    train_run(config, tmp_path / "run")
    shown = Networks([tmp_path / "run"], None).pair()
    tested = round_pairs(config.data, 0).test.images
    assert 0 <= tested.min() <= tested.max() <= 1
    network = digitcmp.load_model(tmp_path / "run")
    (probability,) = network.forward_tested(torch.tensor(shown["images"])[None]).comparison.double().sigmoid().flatten().tolist()
    assert shown["answers"][0]["probabilities"]["≤"] == pytest.approx(probability, abs=1e-6)


@pytest.mark.parametrize(
    ("quirk", "overrides"),
    {
        "batch_statistics": ["model=net4", "model.batch_statistics=true", "test_batch=30"],
        "test_dropout": ["model=wsn", "model.dropout=0.5", "model.test_dropout=true"],
    }.items(),
)
def test_no_answer_for_a_pair_alone(quirk: str, overrides: list[str], run_main: Callable[..., Ended], tmp_path: Path) -> None:
    """A network whose batch norm looks at a batch, or whose dropout is on in the test, has none, from wherever it is asked."""
    train_run(compose_config(*SMALL, *overrides, "aux_weight=1"), tmp_path / "run")
    np.savez(tmp_path / "pairs.npz", images=np.zeros((3, 2, 14, 14), dtype="float32"))
    ended = run_main(cli.main, tmp_path / "run", tmp_path / "pairs.npz")
    told = f"with model.{quirk}=true a network's answer depends on the place of a pair among those of the test, so that it has none for"
    assert (ended.code, ended.out, told in ended.err) == (1, "", True)
    network = digitcmp.load_model(tmp_path / "run")
    for ask in (network.compare, network, lambda _: load_kept(tmp_path / "run"), lambda _: Networks([tmp_path / "run"], None)):
        with pytest.raises(RunError, match=re.escape(told)):
            ask(torch.zeros(3, 2, 14, 14))
