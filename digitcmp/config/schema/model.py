"""The keys of a network and of its layers."""

from dataclasses import dataclass

from digitcmp.config.schema.key import MISSING, key

NORM = "batch norm sits here when model.batchnorm is on"
DROP = "dropout sits here when model.dropout is above 0"


@dataclass
class ConvLayer:
    """A convolution of the tower, followed by its norm (if any), max pooling and a ReLU."""

    channels: int = key(at_least=1, help="how many it puts out")
    kernel: int = key(3, at_least=1, help="height and width of its window, in pixels")
    padding: int = key(0, at_least=0, help="rows and columns of zeros around the image")
    pool: int = key(1, at_least=1, help="height and width of max pooling; 1: none")
    norm: bool = key(False, help=NORM)


@dataclass
class DenseLayer:
    """A dense layer, followed by its norm (if any), a ReLU and dropout."""

    units: int = key(at_least=1, help="how many it puts out")
    relu: bool = key(True, help="a ReLU follows")
    norm: bool = key(False, help=NORM)
    drop: bool = key(False, help=DROP)


@dataclass
class DigitHead:
    """Ten digit logits: one head per digit, one head on the joint features scored against both digits, or none."""

    reads: str = key(
        "none", choices=("none", "digit", "joint"), help="ten digit logits per digit, from each digit's own features or from those of both"
    )
    relu: bool = key(False, help="the logits pass a ReLU")
    norm: bool = key(False, help=NORM)
    drop: bool = key(False, help="dropout sits in front of it when model.dropout is above 0")


@dataclass
class Comparator:
    """The last layer, which answers the question: 1 logit (binary cross-entropy) or 2 (cross-entropy).

    `posterior` has no parameters: it computes the probability of the target from the posteriors of the two digits.
    """

    reads: str = key(
        "features",
        choices=("features", "digit_logits", "digit_probabilities", "posterior"),
        help="what the last layer reads; posterior: no layer, the answer follows from the two digits' probabilities",
    )
    outputs: int = key(1, choices=(1, 2), help="logits: 1 with binary cross-entropy, 2 with cross-entropy")
    target: str = key("le", choices=("le", "gt"), help="what posterior computes the probability of: data.target")
    temperature: float = key(1.0, above=0, help="of posterior: logits are divided by it; below 1, likely digits weigh more")
    detach: bool = key(False, help="read a copy that sends no gradient back")
    relu: bool = key(False, help="the output passes a ReLU, so that its gradient can die: a published quirk of seed 001")
    norm: bool = key(False, help=NORM)


@dataclass
class ModelConfig:
    """A pair network. Images [B, 2, 14, 14] pass a tower, dense layers, a digit head and a comparator."""

    name: str = key(MISSING, help="what tables and figures call it")
    joint: bool = key(False, help="one tower over the two-channel image, instead of one digit at a time")
    weight_sharing: bool | None = key(None, help="both digits use one tower (true) or one each (false); null: a joint tower")
    batchnorm: bool = key(False, help="batch norm, in the layers that are marked norm")
    batch_statistics: bool = key(
        False, help="batch norm is tested with the statistics of the batch, of test_batch pairs: a published quirk of net4"
    )
    dropout: float = key(0.0, at_least=0, below=1, help="share of the units left out in training, in the layers that are marked drop")
    tower: list[ConvLayer] = key(factory=list, help="its convolutions")
    digit_dense: list[DenseLayer] = key(factory=list, help="dense layers over the features of each digit")
    joint_dense: list[DenseLayer] = key(factory=list, help="dense layers over the features of both")
    digit_head: DigitHead = key(factory=DigitHead, help="what says which digits these are, for the auxiliary loss")
    comparator: Comparator = key(factory=Comparator, help="what answers the question")
