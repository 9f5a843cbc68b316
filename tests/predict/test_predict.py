"""python -m digitcmp.predict: a kept network answers for pictures and arrays as it does in its test; what cannot be answered is told."""

import csv
import io
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from digitcmp.config.targets import TARGETS
from digitcmp.data.sources import load
from digitcmp.experiment.networks import load_model
from digitcmp.predict import cli
from digitcmp.predict.answers import load_kept
from digitcmp.predict.output import row_of
from tests.conftest import MNIST_ROOT, Ended, compose_config, needs_mnist
from tests.experiment.made import train_run
from tests.predict.test_pictures import drawn, raw_mnist

SMALL = ["rounds=1", "save_model=true", "engine=serial", "epochs=3", "data.train_pairs=400", "data.test_pairs=60"]


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that reads digits, and has kept its network."""
    folder = tmp_path_factory.mktemp("kept") / "reads"
    train_run(compose_config(*SMALL, "model=decoder_small", "aux_weight=1"), folder)
    return folder


@pytest.fixture
def predict(run_main: Callable[..., Ended]) -> Callable[..., Ended]:
    """Run `python -m digitcmp.predict` in this process."""
    return partial(run_main, cli.main)


@pytest.fixture
def seven(tmp_path: Path) -> Path:
    """A picture of a digit."""
    drawn().save(tmp_path / "seven.png")
    return tmp_path / "seven.png"


@needs_mnist
def test_pictures_are_answered_as_the_data(predict: Callable[..., Ended], tmp_path: Path) -> None:
    """Test images of MNIST, as large as on the page's canvas and saved as pictures, are read as rightly as in the data set."""
    overrides = ["model=decoder_small", "aux_weight=1", "data=mnist", f"data.root={MNIST_ROOT}", "epochs=6", "data.train_pairs=1000"]
    train_run(compose_config(*SMALL, *overrides), tmp_path / "run")
    test, count, files = load("mnist", MNIST_ROOT).test, 200, []
    for index, image in enumerate(raw_mnist(count)):
        files.append(tmp_path / f"{index}.png")
        Image.fromarray(255 - image).resize((280, 280), Image.Resampling.BICUBIC).save(files[-1])
    ended = predict(tmp_path / "run", *files, "--csv")
    rows = list(csv.DictReader(io.StringIO(ended.out)))
    answers, known = load_kept(tmp_path / "run").ask(test.images[:count].view(-1, 2, 14, 14)), test.labels[:count].view(-1, 2).numpy()
    assert (ended.code, [row["first"] for row in rows]) == (0, [str(path) for path in files[::2]])
    pictures = np.mean(np.array([[int(row["first_read"]), int(row["second_read"])] for row in rows]) == known)
    data = np.mean(np.array([answer.read for answer in answers]) == known)
    assert data > 0.8
    assert abs(pictures - data) < 0.03
    held = known[:, 0] <= known[:, 1]
    told = [
        np.mean(np.array(said) == held) for said in ([answer.sign == "≤" for answer in answers], [row["answer"] == "1" for row in rows])
    ]
    assert min(told) > 0.8
    assert abs(told[0] - told[1]) < 0.05  # five of a hundred pairs


def test_arrays(kept: Path, predict: Callable[..., Ended], tmp_path: Path) -> None:
    """Arrays are taken as they are, in either size and of either kind; where the digits are known, so is what is right."""
    test = load("digits", None).test
    images, digits = test.images[:60].view(30, 2, 14, 14), test.labels[:60].view(30, 2)
    (accuracy,) = [(load_model(kept).compare(images) == (digits[:, 0] <= digits[:, 1])).double().mean().item()]
    for name, array in {
        "floats": images.numpy().astype(np.float64),
        "large": images.numpy().repeat(2, axis=2).repeat(2, axis=3),
        "bytes": (images * 255).round().numpy().astype(np.uint8),
    }.items():
        np.savez(tmp_path / name, images=array, digits=digits.numpy().astype(np.uint8))
        ended = predict(kept, tmp_path / f"{name}.npz")
        assert ended.code == 0, ended.err
        assert "and 10 more" in ended.out
        if name != "bytes":
            assert f"{round(30 * accuracy)} of 30 pairs answered rightly" in ended.out
    rows = list(csv.DictReader(io.StringIO(predict(kept, tmp_path / "floats.npz", "--csv").out)))
    assert [[int(row["first_digit"]), int(row["second_digit"])] for row in rows] == digits.tolist()


@pytest.mark.parametrize("target", ["le", "gt", "same"])
@pytest.mark.parametrize("outputs", [1, 2])
def test_ties_are_answered_as_in_the_test(target: str, outputs: int, tmp_path: Path) -> None:
    """Where both answers are as probable, as after a ReLU on the logit, one is given all the same, and it is the same everywhere."""
    train_run(compose_config(*SMALL, "model=net2", f"data.target={target}", f"model.comparator.outputs={outputs}"), tmp_path / "run")
    network, kept = load_model(tmp_path / "run"), load_kept(tmp_path / "run")
    images = load("digits", None).test.images[:20].view(10, 2, 14, 14)
    for one in (network, kept.network):
        for parameter in (each for name, each in one.named_parameters() if "comparator" in name):
            parameter.data.zero_()
    held = network.compare(images)
    told = kept.ask(images)
    assert {share for one in told for share in one.probabilities.values()} == {0.5}
    assert [one.sign for one in told] == [TARGETS[target].signs[answer] for answer in held.tolist()]


@pytest.mark.parametrize(("target", "model"), [("le", "net2"), ("gt", "net2"), ("le", "wsmodel1"), ("three", "net2"), ("same", "net2")])
def test_always_first_less_or_equal(target: str, model: str, tmp_path: Path) -> None:
    """What is told is P(first <= second), whatever the run's target and head are, or that of the same class; all three of three."""
    answers = ["model.comparator.outputs=3"] if target == "three" else []
    train_run(compose_config(*SMALL, f"model={model}", f"data.target={target}", *answers), tmp_path / "run")
    images = load("digits", None).test.images[:60].view(30, 2, 14, 14)
    held, told = load_model(tmp_path / "run").compare(images).long().tolist(), load_kept(tmp_path / "run").ask(images)
    logits = load_model(tmp_path / "run")(images).comparison.double()
    shares = logits.softmax(dim=-1) if logits.shape[-1] > 1 else torch.cat([1 - logits.sigmoid(), logits.sigmoid()], dim=-1)
    signs = {"le": ">≤", "gt": "≤>", "same": "≠=", "three": "<=>"}[target]
    assert [one.sign for one in told] == [signs[answer] for answer in held]
    for one, share in zip(told, shares.tolist(), strict=True):
        assert one.probabilities == pytest.approx(dict(zip(signs, share, strict=True)))
        row = row_of("a", "b", one, TARGETS[target])
        asked = {"le": "≤", "gt": "≤", "same": "="}.get(target, one.sign)
        number = "<=>".index(one.sign) if target == "three" else int(one.sign == asked)
        assert (row.answer, row.probability) == (number, pytest.approx(dict(zip(signs, share, strict=True))[asked]))


def npz(path: Path, **arrays: object) -> Path:
    """An .npz file."""
    np.savez(path, allow_pickle=True, **arrays)  # type: ignore[arg-type]
    return path


ZERO = np.zeros((3, 2, 14, 14), dtype=np.float32)
ARRAYS = {
    "other names": ({"pairs": ZERO}, "no array named images (its arrays: pairs)"),
    "objects": ({"images": np.array([{}, {}], dtype=object)}, "images holds Python objects"),
    "one digit": ({"images": ZERO[:, :1]}, "must be square, [N, 2, s, s]"),
    "other size": ({"images": np.zeros((3, 2, 16, 14), dtype=np.uint8)}, "must be square, [N, 2, s, s]"),
    "none": ({"images": ZERO[:0]}, "it has no pair (images are [0, 2, 14, 14])"),
    "whole numbers": ({"images": ZERO.astype(np.int64)}, "images are int64"),
    "too bright": ({"images": ZERO + 255}, "values from 255 to 255"),
    "no numbers": ({"images": ZERO + np.nan}, "must be finite"),
    "no digits": ({"images": ZERO, "digits": np.full((3, 2), 10)}, "digits must be whole numbers from 0 to 9, [3, 2]"),
    "other digits": ({"images": ZERO, "digits": np.zeros(3, dtype=np.int64)}, "digits must be"),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_bad_arrays(name: str, kept: Path, predict: Callable[..., Ended], tmp_path: Path) -> None:
    """One line each."""
    arrays, said = ARRAYS[name]
    ended = predict(kept, npz(tmp_path / "a.npz", **arrays))
    assert (ended.code, ended.out, len(ended.err.splitlines())) == (1, "", 1)
    assert said in ended.err


def test_bad_commands(kept: Path, predict: Callable[..., Ended], seven: Path, tmp_path: Path) -> None:
    """One line each, for what is not there, does not fit, or has no network."""
    bomb = tmp_path / "bomb.npz"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as into, into.open("images.npy", "w", force_zip64=True) as array:
        for _ in range(1100):
            array.write(bytes(1_000_000))
    (tmp_path / "text.npz").write_text("no")
    for arguments, said in (
        ((kept, seven), "1 picture: a pair has two"),
        ((kept, tmp_path / "absent.png", seven), "absent.png: it cannot be read"),
        ((kept, seven, seven, "--seed", "7"), "seed=7"),
        ((tmp_path, seven, seven), "holds no run"),
        ((kept, bomb), "more than 1,000,000,000"),
        ((kept, bomb, seven), "give it alone"),
        ((kept, tmp_path / "text.npz"), "no .npz file"),
        ((kept, tmp_path / "none.npz"), "cannot be read"),
    ):
        ended = predict(*arguments)
        assert (ended.code, ended.out, len(ended.err.splitlines())) == (1, "", 1), ended.err
        assert said in ended.err
