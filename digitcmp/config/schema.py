"""The schema of a configuration: every key, its type and its range.

A key has one home for its value: conf/config.yaml for those that every run has, the file of a choice for those of a group, and
a default here only where YAML files leave a key out (the parts of a network, options of a choice).

The dataclasses are what YAML is composed into (types are checked by OmegaConf while composing), what the program
receives (`digitcmp.config.composed`) and what `--help` and error messages know about. Ranges stand beside the keys, as `key(...)`;
rules that concern several keys at once are in `digitcmp.config.rules`. This module imports neither torch nor Hydra.
"""

from dataclasses import dataclass, field
from typing import Any

from omegaconf import MISSING


def key(
    default: Any = MISSING,
    *,
    choices: tuple[Any, ...] = (),
    word: str | None = None,
    execution: bool = False,
    text: str = "name",
    **limits: float,
) -> Any:
    """Declare a configuration key with its choices or the limits of its values: at_least, above, at_most, below.

    word: what may be given in place of a number.

    execution: whether it only says where, how or how often rounds are trained, and so changes no number of a round. Such keys
    are no part of a configuration's identity (`digitcmp.config.identity`) nor of a folder's name, and `--help` lists them apart.
    text: what a text is, a name or a folder (`digitcmp.names`), or any other.
    """
    return field(default=default, metadata={"limits": limits, "choices": choices, "word": word, "execution": execution, "text": text})


@dataclass
class ConvLayer:
    """A convolution of the tower, followed by its norm (if any), max pooling and a ReLU."""

    channels: int = key(at_least=1)
    kernel: int = key(3, at_least=1)
    padding: int = key(0, at_least=0)
    pool: int = key(1, at_least=1)
    norm: bool = False  # batch norm sits here when model.batchnorm is on


@dataclass
class DenseLayer:
    """A dense layer, followed by its norm (if any), a ReLU and dropout."""

    units: int = key(at_least=1)
    relu: bool = True
    norm: bool = False  # batch norm sits here when model.batchnorm is on
    drop: bool = False  # dropout sits here when model.dropout is above 0


@dataclass
class DigitHead:
    """Ten digit logits: one head per digit, one head on the joint features scored against both digits, or none."""

    reads: str = key("none", choices=("none", "digit", "joint"))
    relu: bool = False
    norm: bool = False
    drop: bool = False  # dropout sits in front of it when model.dropout is above 0


@dataclass
class Comparator:
    """The last layer, which answers the question: 1 logit (binary cross-entropy) or 2 (cross-entropy).

    `posterior` has no parameters: it computes the probability of the target from the posteriors of the two digits.
    """

    reads: str = key("features", choices=("features", "digit_logits", "digit_probabilities", "posterior"))
    outputs: int = key(1, choices=(1, 2))
    target: str = key("le", choices=("le", "gt"))  # what posterior computes the probability of: data.target
    temperature: float = key(1.0, above=0)  # of posterior: logits are divided by it, so that below 1 likely digits weigh more
    detach: bool = False  # read a copy that sends no gradient back
    relu: bool = False  # published quirk of seed 001: the output passes a ReLU, so that its gradient can die
    norm: bool = False


@dataclass
class ModelConfig:
    """A pair network. Images [B, 2, 14, 14] pass a tower, dense layers, a digit head and a comparator."""

    name: str = MISSING
    joint: bool = False  # one tower over the two-channel image instead of one digit at a time
    weight_sharing: bool | None = None  # both digits use one tower (true) or one each (false); null for a joint tower
    batchnorm: bool = False
    batch_statistics: bool = False  # published quirk of net4: batch norm is tested with the statistics of the batch, of test_batch pairs
    dropout: float = key(0.0, at_least=0, below=1)
    tower: list[ConvLayer] = field(default_factory=list)
    digit_dense: list[DenseLayer] = field(default_factory=list)
    joint_dense: list[DenseLayer] = field(default_factory=list)
    digit_head: DigitHead = field(default_factory=DigitHead)
    comparator: Comparator = field(default_factory=Comparator)


@dataclass
class OptimizerConfig:
    """What every optimiser has. `algorithm` is the name of a class in torch.optim, the other keys are its arguments."""

    algorithm: str = MISSING
    lr: float = key(above=0)
    comparator_lr: float | None = key(None, above=0)  # learning rate of the comparator alone; null: lr
    weight_decay: float = key(0.0, at_least=0)


@dataclass
class Sgd(OptimizerConfig):
    algorithm: str = "SGD"
    momentum: float = key(0.0, at_least=0, below=1)
    nesterov: bool = False


@dataclass
class Adam(OptimizerConfig):
    algorithm: str = "Adam"
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = key(1e-8, above=0)


@dataclass
class AdamW(Adam):
    algorithm: str = "AdamW"


@dataclass
class SchedulerConfig:
    """How the learning rate moves over the steps of a round; `shape` names a function of digitcmp.train.optimizer."""

    shape: str = MISSING


@dataclass
class Constant(SchedulerConfig):
    shape: str = "constant"


@dataclass
class Cosine(SchedulerConfig):
    shape: str = "cosine"
    final: float = key(0.0, at_least=0, at_most=1)  # fraction of the learning rate that is left at the end


@dataclass
class OneCycle(SchedulerConfig):
    shape: str = "onecycle"
    start: float = key(0.04, above=0, at_most=1)  # fraction of the learning rate at the first step
    warmup: float = key(0.3, above=0, below=1)  # fraction of the steps until the full learning rate is reached
    final: float = key(0.0, at_least=0, at_most=1)


@dataclass
class AugmentConfig:
    """How the training images are changed anew in every epoch; `kind` names a function of digitcmp.data.transforms."""

    kind: str = MISSING


@dataclass
class NoAugment(AugmentConfig):
    kind: str = "none"


@dataclass
class Shift(AugmentConfig):
    kind: str = "shift"
    pixels: float = key(1.0, at_least=0, at_most=7)  # at most so far, in both directions


@dataclass
class Affine(Shift):
    kind: str = "affine"
    rotation: float = key(10.0, at_least=0, at_most=180)  # degrees, at most so far to either side
    scale: float = key(0.1, at_least=0, below=1)  # sizes from 1 - scale to 1 + scale
    shear: float = key(10.0, at_least=0, below=90)  # degrees


@dataclass
class Elastic(Affine):
    kind: str = "elastic"
    displacement: float = key(0.7, at_least=0, at_most=7)  # pixels, of a smooth random field
    grid: int = key(4, at_least=2, at_most=14)  # the field is drawn at so many points in both directions


@dataclass
class DataConfig:
    """Where digits come from (`source`: a name in digitcmp.data.sources) and how a round's pairs are made of them."""

    source: str = MISSING
    root: str | None = key(None, execution=True, text="folder")  # folder of the data set; the same files elsewhere are the same data
    fingerprint: str | None = None  # which data these are, filled in where no published sums say it (digitcmp.data.fingerprint)
    train_pairs: int = key(1000, at_least=1)
    test_pairs: int = key(1000, at_least=1)
    val_pairs: int = key(0, at_least=0)  # held out of the training pairs
    shuffle: bool = False  # a new batch order in every epoch
    repair: bool = False  # the digits of the training pairs in new pairs in every epoch
    swap: bool = False  # the two digits of a random half of the training pairs exchanged in every epoch
    target: str = key("le", choices=("le", "gt"))  # 1 means: first <= second (le), first > second (gt)
    normalize_test: bool = True  # false is a published quirk of seed 001: only the training images are normalised


AUTO = "auto"
MOST_LOOKS = 100  # of rounds=auto: the boundary is known for so many


@dataclass
class Auto:
    """How rounds=auto decides how many rounds are enough (`digitcmp.auto.sequential`)."""

    margin: float = key(above=0, at_most=100, execution=True)  # points: smaller differences do not matter
    batch: int = key(at_least=1, execution=True)  # rounds from one look to the next
    max: int = key(at_least=1, execution=True)  # rounds
    level: float = key(above=0, at_most=0.5, execution=True)  # the probability of a wrong verdict among all, at most


MOST_SEED = 2**53  # all whole numbers up to it are exact in every program that reads the tables
MOST_ROUNDS = 1_000_000  # of a run; their rows are kept in memory
COLUMNS = ("plain", "moments")  # the forms in which digits can be shown: functions of digitcmp.data.transforms


@dataclass
class Config:
    """Everything one run is made of."""

    seed: int = key(at_least=0, at_most=MOST_SEED)
    rounds: int | str = key(at_least=1, at_most=MOST_ROUNDS, word=AUTO, execution=True)
    epochs: int = key(at_least=1)
    batch_size: int = key(at_least=1)
    aux_weight: float = key(at_least=0)
    label_smoothing: float = key(at_least=0, below=1)
    ema: float = key(at_least=0, below=1)
    ensemble: int = key(at_least=1)
    columns: list[str] = field(default=MISSING, metadata={"choices": COLUMNS})
    tta_shift: float = key(at_least=0, at_most=7)
    test_every: int = key(at_least=1)
    test_batch: int | None = key(at_least=1)
    device: str = key(choices=("auto", "cpu", "cuda"), execution=True)
    engine: str = key(choices=("auto", "serial", "processes", "stacked"), execution=True)
    workers: int | None = key(at_least=1, execution=True)
    stack_size: int | None = key(at_least=1, execution=True)
    save_model: bool | None = key(execution=True)
    retry_failed: bool = key(execution=True)
    test: bool = key()
    dry_run: bool = key(execution=True)
    preview: bool = key(execution=True)
    report: bool = key(execution=True)
    auto: Auto = field(default_factory=Auto, metadata={"execution": True})
    model: ModelConfig = field(default_factory=ModelConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    scheduler: SchedulerConfig = field(default_factory=SchedulerConfig)
    data: DataConfig = field(default_factory=DataConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)

    @property
    def seeds(self) -> list[int]:
        """The seeds of the rounds: seed … seed + rounds - 1; with rounds=auto, those of the first batch."""
        return list(range(self.seed, self.seed + (self.auto.batch if isinstance(self.rounds, str) else self.rounds)))


# Choices of a group that bring keys of their own; a YAML file takes one with `defaults: [/schema/GROUP/NAME@_here_]`.
GROUP_SCHEMAS: dict[str, dict[str, type]] = {
    "optimizer": {"sgd": Sgd, "adam": Adam, "adamw": AdamW},
    "augment": {"none": NoAugment, "shift": Shift, "affine": Affine, "elastic": Elastic},
    "scheduler": {"constant": Constant, "cosine": Cosine, "onecycle": OneCycle},
}
