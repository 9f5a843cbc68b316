"""Pictures of digits come into the form of the data, whatever they look like; what is no picture, or blank, is told."""

import io
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from sklearn.datasets import load_digits as bundled
from torch import Tensor
from torch.nn.functional import avg_pool2d

from digitcmp.data.images import resized
from digitcmp.data.pictures import decode
from digitcmp.data.sources import load, read
from digitcmp.errors import DataError
from digitcmp.predict import pictures
from tests.conftest import MNIST_ROOT, needs_mnist


def drawn(size: int = 280, width: int = 20, left: int = 90, top: int = 50, height: int = 180) -> Image.Image:
    """A seven, black on white."""
    picture = Image.new("L", (size, size), 255)
    right = left + round(0.6 * height)
    ImageDraw.Draw(picture).line([(left, top), (right, top), (left + 20, top + height)], fill=0, width=width, joint="curve")
    return picture


def digit(picture: Image.Image, form: str = "mnist") -> Tensor:
    """What a network sees of a picture with ink in it."""
    ink = pictures.ink_in(picture)
    assert ink is not None
    return pictures.digit_of(ink, form, 14)


def distance(one: Tensor, other: Tensor) -> float:
    """The mean difference of two images, slightly blurred, relative to the ink of the first: where a digit lies half a pixel further counts
    little."""
    first, second = (avg_pool2d(image[None], 3, stride=1, padding=1)[0] for image in (one, other))
    return float((first - second).abs().sum() / first.sum())


def raw_mnist(count: int) -> NDArray[np.uint8]:
    """The first test images of MNIST, [count, 28, 28], as they are in its file."""
    images: NDArray[np.uint8] = read("mnist", MNIST_ROOT).test.images[:count].numpy()
    return images


@needs_mnist
def test_mnist_comes_back() -> None:
    """MNIST's own test images, given as pictures, are what the data set has; enlarged as on a canvas they are nearly that."""
    known, raw = load("mnist", MNIST_ROOT).test.images, raw_mnist(100)
    exact = [distance(known[at], digit(Image.fromarray(image))) for at, image in enumerate(raw)]
    large = [
        distance(known[at], digit(Image.fromarray(255 - image).resize((280, 280), Image.Resampling.NEAREST)))
        for at, image in enumerate(raw)
    ]
    assert np.mean(exact) < 0.03
    assert np.mean(large) < 0.25  # a digit may come to lie a pixel (of 28) further


def test_digits_come_back() -> None:
    """The bundled digits too, in their own form."""
    raw = bundled().images[:100]
    known = resized(torch.from_numpy(raw).float() / 16, 14)
    pages = (
        np.pad(np.asarray(Image.fromarray((image * 15.9).astype(np.uint8)).resize((200, 200), Image.Resampling.NEAREST)), 40)
        for image in raw
    )
    found = [distance(known[at], digit(Image.fromarray(page), "digits")) for at, page in enumerate(pages)]
    assert np.median(found) < 0.1


SEVEN = digit(drawn())


@pytest.mark.parametrize(
    "made",
    [
        lambda: Image.eval(drawn(), lambda grey: 255 - grey),
        lambda: drawn().convert("1"),
        lambda: drawn().convert("CMYK"),
        lambda: Image.fromarray((np.asarray(drawn(), dtype=np.int32) * 257).astype(np.uint16)),
        lambda: Image.composite(Image.new("RGB", (280, 280), "ivory"), Image.new("RGB", (280, 280), "navy"), drawn()),
        lambda: Image.composite(Image.new("RGB", (280, 280), "darkgreen"), Image.new("RGB", (280, 280), "yellow"), drawn()),
        lambda: drawn(560, 40, 300, 20, 360),
        lambda: drawn(1400, 40, 20, 900, 360),
        lambda: Image.merge("LA", (Image.new("L", (280, 280), 0), Image.eval(drawn(), lambda grey: 255 - grey))),
        lambda: Image.merge("LA", (Image.new("L", (280, 280), 255), Image.eval(drawn(), lambda grey: 255 - grey))),
        lambda: Image.eval(drawn(), lambda grey: 90 + grey // 4),
    ],
    ids=[
        "light on dark", "bits", "CMYK", "16 bits", "blue on ivory", "yellow on green", "elsewhere", "small", "transparent paper",
        "light on transparent", "faint",
    ],
)  # fmt: skip
def test_what_does_not_matter(made: "type[Image.Image]") -> None:
    """Which is dark and which light, colours, depth, transparency, size and place."""
    assert distance(SEVEN, digit(made())) < 0.25


def test_uneven_light_and_dirt() -> None:
    """A photograph: a shadow over the page, noise, and a speck."""
    random = np.random.default_rng(0)
    ink = 1 - np.asarray(drawn(700, 40, 300, 200, 360), dtype=np.float32) / 255
    rows, columns = np.mgrid[0:700, 0:700] / 700
    page = (0.8 - 0.3 * rows - 0.15 * columns) * (1 - 0.7 * ink) + random.normal(0, 0.02, ink.shape)
    page[30:36, 30:36] = 0.1
    assert distance(SEVEN, digit(Image.fromarray((page.clip(0, 1) * 255).astype(np.uint8)))) < 0.4


@pytest.mark.parametrize("tone", [0, 128, 255])
@pytest.mark.parametrize("noise", [0, 4])
def test_blank(tone: int, noise: int) -> None:
    """Paper of any tone, with a little noise, and light that comes from one side."""
    random, slope = np.random.default_rng(1), np.linspace(0, 20 * (tone == 128), 100)
    page = (tone + slope + random.normal(0, noise, (100, 100))).clip(0, 255).astype(np.uint8)
    assert pictures.ink_in(Image.fromarray(page)) is None
    assert pictures.ink_in(Image.new("LA", (30, 40), (tone, 0))) is None


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.sampled_from(["mnist", "digits", "another"]), st.integers(0, 2**32 - 1))
def test_any_picture(height: int, width: int, form: str, seed: int) -> None:
    """Whatever is in it, it is blank, or an image as a network takes it."""
    page = np.random.default_rng(seed).integers(0, 256, (height, width)).astype(np.uint8)
    ink = pictures.ink_in(Image.fromarray(page))
    if ink is not None:
        seen = pictures.digit_of(ink, form, 14)
        assert (seen.shape, seen.dtype) == ((14, 14), torch.float32)
        assert 0 <= float(seen.min()) <= float(seen.max()) <= 1
        assert float(seen.sum()) > 0


def packed(kind: str, picture: Image.Image) -> bytes:
    """The bytes of a picture's file."""
    into = io.BytesIO()
    picture.save(into, kind)
    return into.getvalue()


HUGE = packed("PNG", Image.new("1", (9000, 9000)))
BAD = {
    "text": (b"hello", "no picture that can be read"),
    "empty": (b"", "no picture that can be read"),
    "cut off": (packed("PNG", drawn())[:200], "no picture that can be read"),
    "another format": (packed("GIF", drawn()), "give a PNG, JPEG or BMP file"),
    "huge": (HUGE, "more than 50,000,000"),
    "blank": (packed("JPEG", Image.new("RGB", (50, 50), "white")), "blank"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_pictures(name: str, tmp_path: Path) -> None:
    """One line each."""
    content, said = BAD[name]
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(DataError, match=said) as raised:
        pictures.read_digit(tmp_path / "a.png", "mnist", 14)
    assert str(raised.value).startswith(str(tmp_path / "a.png"))
    assert "\n" not in str(raised.value)


def test_what_is_no_file(tmp_path: Path) -> None:
    """A pipe would keep the reader waiting."""
    os.mkfifo(tmp_path / "pipe")
    for name in ("pipe", ".", "absent"):
        with pytest.raises(DataError, match="cannot be read"):
            pictures.read_digit(tmp_path / name, "mnist", 14)


def test_a_photograph_lies_as_it_was_taken() -> None:
    """Cameras write how they were held beside the picture."""
    turned, exif = drawn().transpose(Image.Transpose.ROTATE_90), Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees, clockwise
    into = io.BytesIO()
    turned.save(into, "JPEG", exif=exif, quality=95)
    assert distance(SEVEN, digit(decode(into.getvalue(), "a"))) < 0.1
