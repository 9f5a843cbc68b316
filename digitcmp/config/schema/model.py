"""The keys of a network and of its parts. Those of its layers: `digitcmp.config.schema.layers`."""

from dataclasses import dataclass

from digitcmp.config.schema.key import MISSING, key
from digitcmp.config.schema.layers import NORM, ConvLayer, DenseLayer

DROP_LOGITS = "dropout of its logits when model.dropout is above 0: a published quirk of project 001"
INITS = ("torch", "kaiming", "xavier", "orthogonal")  # functions of digitcmp.model.initial


@dataclass
class DigitHead:
    """Ten digit logits: one head per digit, one head on the joint features scored against both digits, or none."""

    reads: str = key(
        "none", choices=("none", "digit", "joint"), help="ten digit logits per digit, from each digit's own features or from those of both"
    )
    relu: bool = key(False, help="the logits pass a ReLU")
    norm: bool = key(False, help=NORM)
    drop: bool = key(False, help="dropout sits in front of it when model.dropout is above 0")
    drop_logits: bool = key(False, help=DROP_LOGITS)
    hidden: list[DenseLayer] = key(factory=list, help="dense layers of its own, between those features and its logits")


@dataclass
class AuxHead:
    """A further digit head, on what a layer of the tower puts out (deep supervision, Lee et al. 2015): for the auxiliary loss alone."""

    after: int = key(at_least=0, help="the layer of the tower whose outputs it reads, counted from 0")
    weight: float = key(1.0, above=0, help="of its loss, beside that of digit_head; aux_weight multiplies both")
    hidden: list[DenseLayer] = key(factory=list, help="dense layers between those outputs and its logits")


@dataclass
class Comparator:
    """The last layer, which answers the question: 1 logit (binary cross-entropy), 2, or 3 for data.target=three (cross-entropy).

    `posterior` has no parameters: it computes the probability of the target from the posteriors of the two digits.
    """

    reads: str = key(
        "features",
        choices=(
            "features",
            "digit_logits",
            "digit_probabilities",
            "posterior",
            "feature_difference",
            "distance",
            "logit_difference",
            "digit_argmax",
        ),
        help="what the last layer reads; posterior: no layer, the answer follows from the two digits' probabilities",
    )
    outputs: int = key(1, choices=(1, 2, 3), help="logits: 1 with binary cross-entropy, 2 with cross-entropy; 3: data.target=three")
    target: str = key(
        "le", choices=("le", "gt", "same", "three"), help="what posterior computes the probability of: data.target, but three"
    )
    temperature: float = key(1.0, above=0, help="of posterior: logits are divided by it; below 1, likely digits weigh more")
    detach: bool = key(False, help="read a copy that sends no gradient back")
    relu: bool = key(False, help="the output passes a ReLU, so that its gradient can die: a published quirk of project 001")
    norm: bool = key(False, help=NORM)
    drop_logits: bool = key(False, help=DROP_LOGITS)
    hidden: list[DenseLayer] = key(factory=list, help="dense layers between what it reads and the answer")


@dataclass
class ModelConfig:
    """A pair network. Images [B, 2, s, s] pass a tower, dense layers, a digit head and a comparator."""

    name: str = key(MISSING, help="what tables and figures call it")
    joint: bool = key(False, help="one tower over the two-channel image, instead of one digit at a time")
    weight_sharing: bool | None = key(None, help="both digits use one tower (true) or one each (false); null: a joint tower")
    batchnorm: bool = key(False, help="batch norm, in the layers that are marked norm")
    batch_statistics: bool = key(
        False, help="batch norm is tested with the statistics of the batch, of test_batch pairs: a published quirk of net4"
    )
    dropout: float = key(0.0, at_least=0, below=1, help="share of the units left out in training, in the layers that are marked drop")
    test_dropout: bool = key(False, help="dropout stays on in the test: a published quirk of project 001")
    own_dense: bool = key(False, help="digits that share a tower have digit_dense and a digit_head each")
    shared_norm: bool = key(False, help="digits that have a tower each share its norms")
    init: str = key("torch", choices=INITS, help="how weights begin; torch: uniform within 1 / sqrt(fan-in)")
    zero_bias: bool = key(False, help="biases begin at zero")
    tower: list[ConvLayer] = key(factory=list, help="its convolutions")
    digit_dense: list[DenseLayer] = key(factory=list, help="dense layers over the features of each digit")
    joint_dense: list[DenseLayer] = key(factory=list, help="dense layers over the features of both")
    digit_head: DigitHead = key(factory=DigitHead, help="what says which digits these are, for the auxiliary loss")
    aux_heads: list[AuxHead] = key(factory=list, help="further digit heads, at layers of the tower")
    comparator: Comparator = key(factory=Comparator, help="what answers the question")
