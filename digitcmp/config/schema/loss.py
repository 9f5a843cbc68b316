"""The keys of what is minimised."""

from dataclasses import dataclass

from digitcmp.config.schema.key import key


@dataclass
class LossTerm:
    """A loss on the features of each digit, by its name in digitcmp.config.registry."""

    loss: str = key(help="contrastive, triplet")
    weight: float = key(1.0, at_least=0, help="of this loss beside that of the comparison")


@dataclass
class LossConfig:
    """What is minimised beside what aux_weight and label_smoothing say (`digitcmp.train.losses`)."""

    comparison: float = key(1.0, at_least=0, at_most=1_000_000, help="weight of the comparison loss; 0: the digits alone are trained")
    combine: str = key(
        "sum",
        choices=("sum", "mean", "alternate"),
        help="how the losses of comparison and digits come together; alternate: one of the two in each step, at random",
    )
    terms: list[LossTerm] = key(factory=list, help="further losses, on the features of each digit")
    margin: float = key(1.0, above=0, help="distance that terms keep between features of different digits")
    balance: bool = key(False, help="each answer weighs as much as the others, however many of the training pairs have it")
    l1: float = key(0.0, at_least=0, at_most=1_000_000, help="weight of the sum of all absolute weights, added to the gradients alone")
    mixup: float = key(
        0.0, at_least=0, help="pairs of a batch are mixed, with shares from the beta distribution with this parameter; 0: none"
    )


@dataclass
class StoppingConfig:
    """When a round ends, and with which weights, by its validation accuracies (`digitcmp.train.stopping`)."""

    patience: int | None = key(
        None,
        at_least=1,
        help="epochs without a better validation accuracy after which a round ends, with its best weights; null: it goes on",
    )
    best: bool = key(False, help="a round ends with the weights that had the best validation accuracy, and is tested with them")
