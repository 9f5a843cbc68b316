"""Pictures from files: PNG, JPEG or BMP, of a size that memory can hold."""

import io
import warnings
from pathlib import Path

from PIL import Image, ImageOps

from digitcmp.errors import DataError
from digitcmp.files import is_special

FORMATS = ("PNG", "JPEG", "BMP")
KINDS = "PNG, JPEG or BMP"
MOST_PIXELS = 50_000_000  # of a picture: a large camera's
MOST_BYTES = 100_000_000  # of its file


def read_picture(path: Path) -> Image.Image:
    """A picture from a file. Raises DataError for what is none, or is too large."""
    try:
        if is_special(path):
            raise OSError("it is no file")
        if path.stat().st_size > MOST_BYTES:
            raise DataError(f"{path}: it is larger than {MOST_BYTES // 1_000_000} MB")
        return decode(path.read_bytes(), str(path))
    except OSError as error:
        raise DataError(f"{path}: it cannot be read: {error.strerror or error}") from error


def decode(content: bytes, name: str) -> Image.Image:
    """A picture from the bytes of its file. name: for messages. Raises DataError."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            picture = Image.open(io.BytesIO(content), formats=FORMATS)
            if picture.width * picture.height > MOST_PIXELS:
                raise DataError(f"{name}: {picture.width:,} x {picture.height:,} pixels are more than {MOST_PIXELS:,}; make it smaller")
            picture.load()
        return ImageOps.exif_transpose(picture)
    except DataError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise DataError(f"{name}: it has more than {MOST_PIXELS:,} pixels; make it smaller") from error
    except Exception as error:  # damaged pictures make the library raise anything
        raise DataError(f"{name}: it is no picture that can be read; give a {KINDS} file") from error
