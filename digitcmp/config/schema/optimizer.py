"""The keys of optimisers and of schedulers of the learning rate."""

from dataclasses import dataclass

from digitcmp.config.schema.key import MISSING, key

ALGORITHM = "a class of torch.optim, or of another package; the other keys are its arguments"
SHAPE = "how the learning rate moves over the steps of a round"
FINAL = "fraction of the learning rate that is left at the end"


PARTS = ("tower", "digit_dense", "digit_head", "aux_heads", "joint_dense", "comparator")  # of a network


@dataclass
class ParameterGroup:
    """A part of the network that is trained with a learning rate or a weight decay of its own."""

    part: str = key(choices=PARTS, help="which part of the network")
    lr: float | None = key(None, above=0, help="its learning rate; null: optimizer.lr")
    weight_decay: float | None = key(None, at_least=0, help="pulls its weights towards zero; null: optimizer.weight_decay")


@dataclass
class OptimizerConfig:
    """What every optimiser has. `algorithm` is the name of a class in torch.optim, the other keys are its arguments."""

    algorithm: str = key(MISSING, help=ALGORITHM)
    lr: float = key(above=0, help="the learning rate")
    comparator_lr: float | None = key(None, above=0, help="learning rate of the comparator alone; null: lr")
    weight_decay: float = key(0.0, at_least=0, help="pulls weights towards zero")
    clip: float | None = key(None, above=0, help="longest gradient of a network (its norm), longer ones are shortened; null: as they are")
    groups: list[ParameterGroup] = key(factory=list, help="parts of the network with a learning rate or a weight decay of their own")


@dataclass
class Sgd(OptimizerConfig):
    algorithm: str = key("SGD", help=ALGORITHM)
    momentum: float = key(0.0, at_least=0, below=1, help="share of the last step that is taken again")
    nesterov: bool = key(False, help="Nesterov's momentum")


@dataclass
class Adam(OptimizerConfig):
    algorithm: str = key("Adam", help=ALGORITHM)
    betas: tuple[float, float] = key((0.9, 0.999), help="decay of the means of gradients and of their squares, each at least 0 and below 1")
    eps: float = key(1e-8, above=0, help="added to the denominator")


@dataclass
class AdamW(Adam):
    algorithm: str = key("AdamW", help=ALGORITHM)


@dataclass
class SchedulerConfig:
    """How the learning rate moves over the steps of a round; `shape` names a function of digitcmp.train.schedules."""

    shape: str = key(MISSING, help=SHAPE)


@dataclass
class Constant(SchedulerConfig):
    shape: str = key("constant", help=SHAPE)


@dataclass
class Cosine(SchedulerConfig):
    shape: str = key("cosine", help=SHAPE)
    final: float = key(0.0, at_least=0, at_most=1, help=FINAL)


@dataclass
class OneCycle(SchedulerConfig):
    shape: str = key("onecycle", help=SHAPE)
    start: float = key(0.04, above=0, at_most=1, help="fraction of the learning rate at the first step")
    warmup: float = key(0.3, above=0, below=1, help="fraction of the steps until the full learning rate is reached")
    final: float = key(0.0, at_least=0, at_most=1, help=FINAL)


@dataclass
class Step(SchedulerConfig):
    shape: str = key("step", help=SHAPE)
    drops: int = key(2, at_least=1, at_most=1_000_000, help="how often it falls, at equal distances")
    factor: float = key(0.1, above=0, below=1, help="what is left each time")


@dataclass
class Exponential(SchedulerConfig):
    shape: str = key("exponential", help=SHAPE)
    final: float = key(0.01, above=0, at_most=1, help=FINAL)


@dataclass
class Restarts(SchedulerConfig):
    shape: str = key("restarts", help=SHAPE)
    cycles: int = key(3, at_least=1, at_most=100, help="how often it falls along half a cosine")
    growth: float = key(2.0, at_least=0.01, at_most=100, help="how much longer each cycle is than the one before")
    final: float = key(0.0, at_least=0, at_most=1, help=FINAL)


@dataclass
class Plateau(SchedulerConfig):
    shape: str = key("plateau", help=SHAPE)
    patience: int = key(5, at_least=0, help="epochs without a better validation accuracy before it falls")
    factor: float = key(0.5, above=0, below=1, help="what is left each time")
