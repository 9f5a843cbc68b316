"""The keys of data and of augmentation."""

from dataclasses import dataclass

from digitcmp.config.schema.key import MISSING, key

SIZE = 14  # pixels, height and width of a digit, where nothing else is said
COLUMNS = ("plain", "moments")  # the forms in which digits can be shown: functions of digitcmp.data.transforms
KIND = "how training images are changed, anew in every epoch"


@dataclass
class AugmentConfig:
    """How the training images are changed anew in every epoch; `kind` names a function of digitcmp.data.transforms."""

    kind: str = key(MISSING, help=KIND)


@dataclass
class NoAugment(AugmentConfig):
    kind: str = key("none", help=KIND)


@dataclass
class Shift(AugmentConfig):
    kind: str = key("shift", help=KIND)
    pixels: float = key(1.0, at_least=0, at_most=7, help="moved at most so far, in both directions")


@dataclass
class Affine(Shift):
    kind: str = key("affine", help=KIND)
    rotation: float = key(10.0, at_least=0, at_most=180, help="degrees, at most so far to either side")
    scale: float = key(0.1, at_least=0, below=1, help="sizes from 1 - scale to 1 + scale")
    shear: float = key(10.0, at_least=0, below=90, help="degrees, at most so far to either side")


@dataclass
class Elastic(Affine):
    kind: str = key("elastic", help=KIND)
    displacement: float = key(0.7, at_least=0, at_most=7, help="pixels, of a smooth random field")
    grid: int = key(4, at_least=2, at_most=14, help="the field is drawn at so many points in both directions")


@dataclass
class DataConfig:
    """Where digits come from (`source`: a name in digitcmp.data.sources) and how a round's pairs are made of them."""

    source: str = key(MISSING, help="where digits come from: a name in digitcmp.data.sources")
    root: str | None = key(
        None, execution=True, text="folder", help="folder of the data set, or its file; the same files elsewhere are the same data"
    )
    fingerprint: str | None = key(None, help="which data these must be; null: filled in, where no published sums say it")
    size: int = key(SIZE, at_least=4, at_most=256, help="pixels, height and width of the digits that networks see")
    train_pairs: int = key(1000, at_least=1, help="pairs to train on")
    test_pairs: int = key(1000, at_least=1, help="pairs to test on")
    val_pairs: int = key(0, at_least=0, help="of the training pairs, held out for validation")
    folds: int | None = key(
        None,
        at_least=2,
        help="equal parts of the training pairs, of which one is held out (cross-validation); null: val_pairs says how many are",
    )
    fold: int = key(0, at_least=0, help="which of them: 0, 1 … take turns over all training pairs (cross-validation)")
    label_noise: float = key(0.0, at_least=0, below=1, help="share of the training digits that are called another one, at random")
    imbalance: float = key(1.0, above=0, at_most=1, help="training images of a nine for each of a zero, with the digits in between")
    shuffle: bool = key(False, help="a new batch order in every epoch")
    repair: bool = key(False, help="the digits of the training pairs in new pairs in every epoch")
    swap: bool = key(False, help="the digits of a random half of the training pairs exchanged in every epoch")
    target: str = key(
        "le",
        choices=("le", "gt", "same", "three"),
        help="the answer 1 means first <= second (le), first > second (gt) or both of one class (same); three: 0 less, 1 the same, 2 more",
    )
    seed: int | None = key(
        None, at_least=0, help="the pairs of this seed, for all rounds, whose weights differ; null: each round has its own"
    )
    normalize_test: bool = key(True, help="false: only training images are normalised, a published quirk of project 001")
