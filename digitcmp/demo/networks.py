"""What the page asks for: answers for two drawings, and a random pair of test images with theirs."""

import base64
import binascii
import random
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from threading import Lock
from typing import Any

import torch
from torch import Tensor

from digitcmp.data.pictures import decode
from digitcmp.data.sources import Source, load
from digitcmp.errors import DataError, DigitcmpError
from digitcmp.experiment.about import data_root, read_about
from digitcmp.predict.answers import load_kept
from digitcmp.predict.pictures import Grey, digit_of, ink_in

PLACES = ("first", "second")
PREFIX = "data:image/png;base64,"


class Networks:
    """The networks of some runs, each with what it needs to see of a drawing. One answer at a time."""

    def __init__(self, folders: Sequence[Path], root: str | None) -> None:
        """root: the folder of the test images; None for that of the first run. Raises RunError where a run has kept no network."""
        torch.set_num_threads(1)
        self.kept = [load_kept(folder) for folder in folders]
        self.lock = Lock()
        self.source: Source | None = None
        self.missing = ""  # why there are no random pairs
        about = read_about(folders[0])
        data = about["configuration"]["data"]
        try:
            self.source = load(data["source"], data_root(about, root), data.get("fingerprint"), self.kept[0].network.size)
        except DigitcmpError as error:
            self.missing = str(error)

    def about(self) -> dict[str, Any]:
        """Who answers, and whether there are random pairs."""
        names = [kept.folder.name for kept in self.kept]
        if len(set(names)) < len(names):
            names = [str(kept.folder) for kept in self.kept]
        shown = [
            {"name": name, "seed": kept.network.seed, "source": kept.source, "size": kept.network.size, "asked": kept.target.asked}
            for name, kept in zip(names, self.kept, strict=True)
        ]
        return {"networks": shown, "missing": self.missing}

    def compare(self, drawings: dict[str, str]) -> dict[str, Any]:
        """The answers for two drawings, PNG files as data URLs. Raises DataError for what is none."""
        inks = [ink_of(drawings, place) for place in PLACES]
        if blank := [place for place, ink in zip(PLACES, inks, strict=True) if ink is None]:
            return {"blank": blank}
        return {"blank": [], "answers": self.answers([ink for ink in inks if ink is not None])}

    def pair(self) -> dict[str, Any]:
        """A random pair of test images, as nobody has drawn it, and the answers for it. Raises DataError without test images."""
        if self.source is None:
            raise DataError(self.missing)
        split = self.source.test
        chosen = random.sample(range(len(split.labels)), 2)
        images = split.images[chosen]
        return {"images": images.tolist(), "digits": split.labels[chosen].tolist(), "answers": self.answers(list(images.numpy()), images)}

    def answers(self, inks: Sequence[Grey], images: Tensor | None = None) -> list[dict[str, Any]]:
        """What the networks say of one pair, and what they see. inks: of both digits, from 0 to 1, in any size; images: [2, s, s],
        what those that were trained on this page's data set, at this size, see of them."""
        told = []
        for kept in self.kept:
            same = self.source is not None and kept.source == self.source.name
            own = images is not None and same and images.shape[-1] == kept.network.size
            seen = images if own and images is not None else torch.stack([digit_of(ink, kept.source, kept.network.size) for ink in inks])
            with self.lock:
                (answer,) = kept.ask(seen[None])
            told.append({**asdict(answer), "seen": seen.tolist()})
        return told


def ink_of(drawings: dict[str, str], place: str) -> Grey | None:
    """The ink of the drawing in this place, None where it is blank. Raises DataError for what is no drawing."""
    url = drawings.get(place)
    if not isinstance(url, str) or not url.startswith(PREFIX):
        raise DataError(f"{place}: it is no drawing")
    try:
        picture = decode(base64.b64decode(url.removeprefix(PREFIX), validate=True), place)
    except binascii.Error as error:
        raise DataError(f"{place}: it is no drawing") from error
    return ink_in(picture)
