"""Pictures of digits come into the form of the data, whatever they look like; what is no picture, or blank, is told."""

import io
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
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


def pasted(ink: NDArray[np.uint8], height: int, width: int, top: int, left: int) -> Image.Image:
    """Bright ink as dark ink at a place of a white page."""
    page = np.full((height, width), 255, dtype=np.uint8)
    page[top : top + ink.shape[0], left : left + ink.shape[1]] -= ink
    return Image.fromarray(page)


def bundled_ink(number: int, side: int) -> NDArray[np.uint8]:
    """A bundled digit, at this many pixels."""
    image = Image.fromarray((bundled().images[number] * 15.9).astype(np.uint8))
    return np.array(image.resize((side, side), Image.Resampling.BILINEAR))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 99), st.integers(8, 400), st.tuples(*[st.integers(0, 1600)] * 4), st.sampled_from(["mnist", "digits"]))
@example(0, 28, (148 - 28, 258 - 28, 30, 40), "mnist")
@example(1, 8, (1592, 1392, 700, 500), "mnist")
@example(3, 150, (850, 1250, 0, 1000), "mnist")
def test_a_page_of_any_size(number: int, side: int, around: tuple[int, int, int, int], form: str) -> None:
    """A digit is seen as it is without the paper around it, whatever share of the page it covers, and wherever it lies."""
    ink, margin = bundled_ink(number, side), side // 2 + 2
    height, width = (2 * margin + side + more for more in around[:2])
    top, left = margin + around[2] % (around[0] + 1), margin + around[3] % (around[1] + 1)
    seen = digit(pasted(ink, height, width, top, left), form)
    alone = digit(pasted(ink, side + 2 * margin, side + 2 * margin, margin, margin), form)
    if side <= 180:  # nothing is made smaller
        torch.testing.assert_close(seen, alone, rtol=0, atol=0.02)
    else:
        assert distance(alone, seen) < 0.3  # it may come to lie a pixel further


@pytest.mark.parametrize("page", [(300, 300), (1000, 1400), (3000, 2000)])
@pytest.mark.parametrize("length", [20, 60, 100, 150])
def test_strokes_and_ellipses(page: tuple[int, int], length: int) -> None:
    """Thin and round digits that cover a hundredth, or a ten-thousandth, of a page."""
    for round_ in (False, True):
        seen = []
        for size, at in ((page, (page[0] // 2, 0)), ((2 * length, 2 * length), (length // 2, length // 2))):
            picture = Image.new("L", size, 255)
            across = round(0.7 * length) if round_ else max(2, length // 12)
            place = (at[0], at[1], at[0] + across - 1, at[1] + length - 1)
            if round_:
                ImageDraw.Draw(picture).ellipse(place, outline=0, width=max(2, length // 12))
            else:
                ImageDraw.Draw(picture).rectangle(place, fill=0)
            seen.append(digit(picture))
        torch.testing.assert_close(seen[0], seen[1], rtol=0, atol=1e-4)


@needs_mnist
@pytest.mark.parametrize("page", [(60, 40), (148, 258), (280, 280), (1000, 1400)])
def test_mnist_comes_back_from_any_page(page: tuple[int, int]) -> None:
    """Unscaled, somewhere on it."""
    known, random = load("mnist", MNIST_ROOT).test.images, np.random.default_rng(0)
    found = []
    for number, image in enumerate(raw_mnist(40)):
        top, left = (int(random.integers(0, length - 28 + 1)) for length in page)
        found.append(distance(known[number], digit(pasted(image, *page, top, left))))
    assert np.mean(found) < 0.03


def as_jpeg(picture: Image.Image) -> Image.Image:
    """What JPEG makes of it."""
    return Image.open(io.BytesIO(packed("JPEG", picture)))


def dotted(page: NDArray[np.uint8], dots: int) -> NDArray[np.uint8]:
    """The page with some black pixels."""
    made = page.copy()
    made.flat[np.random.default_rng(dots).choice(made.size, dots, replace=False)] = 0
    return made


@pytest.mark.parametrize("size", [(30, 40), (100, 100), (280, 280), (1400, 1000)])
@pytest.mark.parametrize("dots", [1, 3, 20])
def test_dots_are_no_digit(size: tuple[int, int], dots: int) -> None:
    """Pixels that are stuck, on a blank page and beside a small digit."""
    assert pictures.ink_in(Image.fromarray(dotted(np.full(size, 255, dtype=np.uint8), dots))) is None
    ink = bundled_ink(0, 20)
    page = np.asarray(pasted(ink, *size, 5, 10))
    assert distance(digit(Image.fromarray(page)), digit(Image.fromarray(dotted(page, dots)))) < (0.3 if page.size > 10_000 else 2)


@pytest.mark.parametrize("size", [(100, 100), (280, 280), (1400, 1000)])
@pytest.mark.parametrize("made", ["JPEG", "noise", "both"])
def test_small_digits_in_noise(size: tuple[int, int], made: str) -> None:
    """Of a camera, and of what JPEG leaves around a digit."""
    ink = bundled_ink(0, 28)
    page = np.asarray(pasted(ink, *size, 30, 40)) * 0.8 + 20
    noisy = page + np.random.default_rng(0).normal(0, 5, size) * (made != "JPEG")
    picture = Image.fromarray(noisy.clip(0, 255).astype(np.uint8))
    assert distance(digit(Image.fromarray(page.astype(np.uint8))), digit(picture if made == "noise" else as_jpeg(picture))) < 0.4


LIGHTS = {  # by row and column, from 0 to 1
    "from one side": lambda row, column: 0.5 + 0.5 * column + 0 * row,
    "from above": lambda row, column: 1 - 0.6 * row + 0 * column,
    "darker corners": lambda row, column: 1 - 0.5 * ((2 * row - 1) ** 2 + (2 * column - 1) ** 2) / 2,
    "a lamp": lambda row, column: 0.5 + 0.5 * np.exp(-((row - 0.3) ** 2 + (column - 0.3) ** 2) / 0.3),
    "a soft shadow": lambda row, column: 0.6 + 0.4 / (1 + np.exp(-(column - 0.44) * 32)) + 0 * row,
}


@pytest.mark.parametrize("light", LIGHTS)
@pytest.mark.parametrize("noise", [0.0, 0.02])
def test_light_of_every_kind(light: str, noise: float) -> None:
    """A digit on a page that is lit like that, which covers a quarter of it."""
    ink = np.zeros((600, 800), dtype=np.float32)
    ink[200:480, 270:550] = 1 - np.asarray(drawn(), dtype=np.float32) / 255
    rows, columns = np.mgrid[0:1:600j, 0:1:800j]
    page = LIGHTS[light](rows, columns) * (1 - 0.8 * ink) + np.random.default_rng(0).normal(0, 1, ink.shape) * noise
    assert distance(SEVEN, digit(Image.fromarray((page.clip(0, 1) * 255).astype(np.uint8)))) < 0.3


@pytest.mark.parametrize("margin", [0, 3, 12])
def test_a_picture_that_is_cut_to_its_digit(margin: int) -> None:
    """Most of it is ink, as of a nought with a thick stroke."""
    picture = Image.new("L", (200 + 2 * margin, 260 + 2 * margin), 255)
    ImageDraw.Draw(picture).ellipse((margin, margin, 200 + margin, 260 + margin), outline=0, width=60)
    wide = Image.new("L", (600, 600), 255)
    wide.paste(picture, (200, 170))
    assert (np.asarray(picture) == 0).mean() > 0.5 or margin
    assert distance(digit(wide), digit(picture)) < 0.3


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
