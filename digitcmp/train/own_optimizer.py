"""Optimisers of others, watched while they step: rounds that are stacked have nothing to do with each other, and what an optimiser
remembers is where checkpoints find it."""

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from traceback import extract_tb
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from digitcmp.config.schema import OptimizerConfig
from digitcmp.errors import ConfigError, DigitcmpError
from digitcmp.promises import is_looked_at, seeded
from digitcmp.train.memory import alike, changed, is_of_elements, of_class, plain, remembered, tensors_in
from digitcmp.train.optimizer import OPTIMIZERS, called, find_algorithm, own_options
from digitcmp.train.state import is_number

ROUNDS, STEPS, TRIED = 3, 3, ((4, 5), (6,), (2, 3, 3, 3))  # what one is tried with: dense weights, biases, a convolution
MOVED = ("params", "lr", "initial_lr")  # what a schedule has of a group


class Watched:
    """The steps of an optimiser of others, called `part` in errors.

    rounds: how many are stacked along the first axis of its parameters; 1 where they are not. In some of the steps (`is_looked_at`) one
    round takes the same step alone, from copies of all that there is of it.
    """

    def __init__(self, optimizer: Optimizer, part: str, rounds: int) -> None:
        self.optimizer, self.part, self.rounds = optimizer, part, rounds
        self.calls, self.looks = 0, 0
        self.begun = outside(optimizer)

    def step(self) -> None:
        """Take a step. Raises ConfigError where it is random, asks for a closure, or a round beside others comes to something else than
        alone."""
        looked, index = is_looked_at(self.calls), self.looks % self.rounds
        alone = self.alone(index) if looked and self.rounds > 1 else None
        self.calls += 1
        with seeded(self.part, *parameters_of(self.optimizer)) if looked else nullcontext(), no_closure(self.part):
            self.optimizer.step()
        if alone is not None:
            self.looks += 1
            if not alike(parts_of(self.optimizer), parts_of(alone), index):
                raise ConfigError(
                    f"engine=stacked: {self.part} steps a round otherwise beside others than by itself; let it work "
                    "element by element (no norms or means of tensors, nothing random; further axes of what it remembers of a parameter "
                    "behind those of the parameter, as in gradient[..., None]), or use engine=serial or engine=processes"
                )

    @torch.no_grad()
    def alone(self, index: int) -> Optimizer:
        """A copy of the optimiser that has one of the rounds alone, when it has taken its step. Raises ConfigError where it cannot be
        copied."""
        twin = object.__new__(type(self.optimizer))
        known: dict[int, Any] = {id(self.optimizer): twin}
        for parameter in parameters_of(self.optimizer):
            own = known[id(parameter)] = torch.nn.Parameter(parameter[index].clone(), parameter.requires_grad)
            own.grad = None if parameter.grad is None else parameter.grad[index].clone()
        shapes = {parameter.shape for parameter in parameters_of(self.optimizer)}
        # what is shaped like a parameter, but for further axes, is of its elements, wherever it is kept
        apart = [one for one in tensors_in(vars(self.optimizer), {*known}) if any(is_of_elements(one.shape, shape) for shape in shapes)]
        known |= {id(one): one[index].clone() for one in apart}
        try:
            # without the step that a schedule has wrapped, which is that of the whole stack
            twin.__dict__ = copy.deepcopy({name: value for name, value in vars(self.optimizer).items() if name != "step"}, known)
            twin.step()
        except Exception as error:
            raise ConfigError(f"engine=stacked: {self.part} cannot step a round by itself ({type(error).__name__}: {error})") from error
        return twin

    def check_kept(self) -> None:
        """Raise ConfigError where the optimiser remembers what no checkpoint would have."""
        lost = changed(outside(self.optimizer), self.begun)
        memories = [self.optimizer.state.get(parameter, {}) for parameter in parameters_of(self.optimizer)]
        lost += sorted({shown(name, value) for memory in memories for name, value in memory.items() if not is_kept(name, value)})
        if lost:
            raise ConfigError(
                f"checkpoint_every: {self.part} remembers {', '.join(lost)}, which a checkpoint does not have; keep it in "
                "self.state[parameter], as a tensor or a number of Python's of up to 64 bits, or leave checkpoint_every out"
            )


@contextmanager
def no_closure(part: str) -> Iterator[None]:
    """Raise ConfigError, which names this optimiser, where a step fails for lack of a closure: its error says so, or the line that
    raises it."""
    try:
        yield
    except Exception as error:
        if "closure" not in f"{error} {extract_tb(error.__traceback__)[-1].line}":
            raise
        raise ConfigError(
            f"{part}: its step asks for a closure, which it is not given ({type(error).__name__}: {error}); let it go by the gradients "
            "that parameters have, and take two steps, one after the other, for what needs gradients at two places"
        ) from error


def watched(optimizer: Optimizer, name: str, rounds: int) -> Watched | None:
    """The optimiser of this name, watched; None for one of torch's. rounds: as for `Watched`."""
    package = OPTIMIZERS.package_of(name)
    return None if package is None else Watched(optimizer, f"optimizer.algorithm={name} of {package}", rounds)


def check_stackable(optimizer: OptimizerConfig) -> None:
    """Raise ConfigError for an algorithm of others that steps stacked rounds otherwise than each by itself, and whatever it raises."""
    try_out(optimizer, [(ROUNDS, *shape) for shape in TRIED], ROUNDS)


def check_kept(optimizer: OptimizerConfig) -> None:
    """Raise ConfigError for an algorithm of others that remembers in its first steps what no checkpoint would have. What it raises itself
    is left to the rounds, which say of what they fail."""
    try:
        own = try_out(optimizer, TRIED, 1)
    except DigitcmpError:
        raise
    except Exception:
        return
    if own is not None:
        own.check_kept()


def try_out(optimizer: OptimizerConfig, shapes: Sequence[tuple[int, ...]], rounds: int) -> Watched | None:
    """An algorithm of others after some steps of parameters of these shapes; None for one of torch's. Raises what it raises."""
    if OPTIMIZERS.package_of(optimizer.algorithm) is None:
        return None
    random = torch.Generator().manual_seed(0)
    parameters = [torch.nn.Parameter(torch.randn(*shape, generator=random)) for shape in shapes]
    made = called(find_algorithm(optimizer.algorithm), optimizer.algorithm, parameters, lr=optimizer.lr, **own_options(optimizer))
    own = watched(made, optimizer.algorithm, rounds)
    assert own is not None
    for _ in range(STEPS):
        for parameter in parameters:
            parameter.grad = torch.randn(parameter.shape, generator=random)
        own.step()
    return own


def parameters_of(optimizer: Optimizer) -> Iterator[Tensor]:
    """All of them."""
    return (parameter for group in optimizer.param_groups for parameter in group["params"])


def parts_of(optimizer: Optimizer) -> list[Any]:
    """What a step may change: the parameters, what is remembered of each, and the rest."""
    memory = [plain(optimizer.state.get(parameter, {})) for parameter in parameters_of(optimizer)]
    return [[*parameters_of(optimizer)], memory, outside(optimizer)]


def outside(optimizer: Optimizer) -> dict[str, Any]:
    """Copies of what an optimiser has beside the state of its parameters: attributes, of its own and of its class, other entries of its
    state, and values of its groups, by name."""
    standard = {*vars(torch.optim.SGD([torch.zeros(1)])), "step", "_opt_called"}
    parameters = [*parameters_of(optimizer)]
    found = {f"self.{name}": value for name, value in vars(optimizer).items() if name not in standard} | of_class(type(optimizer))
    found |= {f"self.state[{name!r}]": value for name, value in optimizer.state.items() if not isinstance(name, Tensor)}
    for number, group in enumerate(optimizer.param_groups):
        found |= {f"param_groups[{number}][{name!r}]": value for name, value in group.items() if name not in MOVED}
    # an optimiser within, which may have the same state and groups, adds nothing with these
    return remembered(found, [optimizer, *parameters, optimizer.state, optimizer.param_groups, *optimizer.param_groups])


def is_kept(name: object, value: object) -> bool:
    """Whether a checkpoint can have this entry of a parameter's state, as it is."""
    return isinstance(name, str) and "/" not in name and (is_number(value) or (isinstance(value, Tensor) and value.layout == torch.strided))


def shown(name: object, value: object) -> str:
    """An entry of a parameter's state, and of what type it is."""
    large = " of more than 64 bits" if type(value) is int and not is_number(value) else ""
    return f"{name} ({type(value).__name__}{large})"
