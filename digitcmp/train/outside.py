"""What the code of others that trains a round remembers outside of its networks and its optimiser, where the next round finds it: numbers
would depend on which rounds were trained before in the same process, and a round that goes on from a checkpoint would not have it."""

import pickle
import random
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from functools import partial
from types import FunctionType, MethodType
from typing import Any

import numpy as np
from torch import nn
from torch.optim import Optimizer

from digitcmp.config.allowed import OWN
from digitcmp.config.registry import LOSSES, Registry, load
from digitcmp.config.schema import Config
from digitcmp.config.taken import plugins_of
from digitcmp.data.transforms import AUGMENTATIONS
from digitcmp.errors import ConfigError
from digitcmp.train.held import Held, Look, attributes, grown
from digitcmp.train.memory import is_own, kept
from digitcmp.train.optimizer import OPTIMIZERS
from digitcmp.train.reach import Reach, Several
from digitcmp.train.schedules import SHAPES

BUFFER, STATE, GIVEN = "keep it in a buffer (register_buffer)", "keep it in self.state[parameter]", "let it go by what it is given alone"
RANDOM = "draw from a generator of its own that is made for each round, or from the keys that it is given"
TOLD = 3  # names
Part = tuple[str, str, Sequence[Any]]  # what it is, what it is to do instead, and where its code begins


class Outside:
    """What there is of that for the parts of a training that are of others. Nothing is looked at where there are none."""

    def __init__(self, config: Config, networks: Sequence[nn.Module], optimizer: Optimizer) -> None:
        self.parts = [*parts_of(config, networks, optimizer)]
        kinds = [kind for _, _, roots in self.parts for root in roots for kind in getattr(root, "__mro__", [type(root)])]
        self.installed = {str(getattr(one, "__module__", "")).partition(".")[0] for one in [*kinds, *self.roots()]}
        learned = (one for network in networks for one in (*network.modules(), *network.parameters(), *network.buffers()))
        self.learned = set(map(id, learned))
        self.draws = list[str]()  # those parts whose code draws random numbers, as far as can be told
        self.begun = self.look() if self.parts else {}
        self.drawn = generators()
        self.paused: dict[str, Held] | None = None

    def roots(self) -> Iterator[Any]:
        """Where the code of all parts begins."""
        for _, _, roots in self.parts:
            yield from roots

    def look(self) -> dict[tuple[str, str], tuple[int, Held]]:
        """What each place holds, and the part that it was found from."""
        reach, found = Reach(self.installed), dict[tuple[str, str], tuple[int, Held]]()
        look = Look(reach.is_own)
        self.draws = []
        for number, (part, instead, roots) in enumerate(self.parts):
            reach.follow(*roots)
            self.draws += [part] if reach.draws else []
            reach.draws = False
            objects = {(part, name): value for root in roots if instead is GIVEN for name, value in held_by(root)}
            for place, value in {**reach.places, **objects}.items():
                if id(value) in self.learned and place in reach.places:
                    raise ConfigError(
                        f"{part}: {place[1].removeprefix(OWN)} is a part of the network, which is another one as soon as that is copied or "
                        "stacked; let no function and no global keep it: use a method of its class, or functools.partial of one"
                    )
                if place not in found:
                    held = {name: look.at(one) for name, one in value.items()} if isinstance(value, Several) else look.at(value)
                    found[place] = number, held
        return found

    def check(self) -> None:
        """Raise ConfigError where something is not what it was when the training began; what is found anew counts from now on."""
        now = self.look() if self.parts else {}
        for number, (part, instead, _) in enumerate(self.parts):
            places = [(place, held) for place, (of, held) in now.items() if of == number and place in self.begun]
            names = dict.fromkeys(name for place, held in places for name in different(place[1], held, self.begun[place][1]))
            if lost := [name.removeprefix(OWN) for name in names]:
                more = f" and {len(lost) - TOLD} more" if len(lost) > TOLD else ""
                raise handed_on(part, ", ".join(lost[:TOLD]) + more, instead)
        self.begun = now | {place: (of, grown(held, now[place][1]) if place in now else held) for place, (of, held) in self.begun.items()}
        self.check_drawn()

    def check_drawn(self) -> None:
        """Raise ConfigError where random numbers were drawn from a state that a library has, by whatever name. Nothing of digitcmp or
        torch draws from these; what callbacks draw is left out."""
        now = self.paused or generators()
        moved = [name for name, state in now.items() if state != self.drawn[name]]
        if moved and self.begun:  # there is code of others
            raise handed_on(" or ".join(self.draws or self.suspects()), ", ".join(f"the state of {name}" for name in moved), RANDOM)

    def suspects(self) -> list[str]:
        """The parts that something is due to of which nobody knows whose it is: the model only where there is no other."""
        *others, model = [part for part, _, _ in self.parts]
        return others or [model]

    def pause(self) -> None:
        """Others than these parts have their turn: what draws random numbers from now on is nobody's concern."""
        self.paused = generators()

    def go_on(self) -> None:
        """It is the turn of these parts again."""
        before, now = self.paused or {}, generators()
        self.drawn.update({name: now[name] for name, state in before.items() if state == self.drawn[name]})
        self.paused = None


def generators() -> dict[str, Held]:
    """The states that Python's and NumPy's random numbers are drawn from where no generator is named."""
    return {"random": random.getstate(), "numpy": pickle.dumps(np.random.get_state(legacy=False))}  # noqa: NPY002


def handed_on(part: str, names: str, instead: str) -> ConfigError:
    """What a part remembers from round to round, and what it is to do instead."""
    return ConfigError(
        f"{part} remembers {names} from one step to the next, so that a round's numbers would depend on "
        f"those trained before it; {instead} (what is made once and never changes: by a function with functools.cache)"
    )


def different(name: str, now: Held, before: Held) -> Iterator[str]:
    """The names of what is not what it was, in a place of this name."""
    if isinstance(now, dict) and isinstance(before, dict):
        yield from (f"{name}.{one}" for one in {**before, **now} if now.get(one) != before.get(one))
    elif now != before:
        yield name


def held_by(root: Any) -> Iterator[tuple[str, Any]]:
    """What a part is called by remembers itself, by name: nothing, where it is a function or a class."""
    if not isinstance(root, type | FunctionType):
        yield "self", root if isinstance(root, MethodType | partial) else Several(kept(root, attributes(root)))


def parts_of(config: Config, networks: Sequence[nn.Module], optimizer: Optimizer) -> Iterator[Part]:
    """Those of a training that are of others."""
    if not plugins_of(asdict(config)):
        return
    chosen: list[tuple[str, str, Registry[Any], str]] = [
        ("augment.kind=", config.augment.kind, AUGMENTATIONS, GIVEN),
        ("scheduler.shape=", config.scheduler.shape, SHAPES, GIVEN),
        *(("loss.terms: ", term.loss, LOSSES, GIVEN) for term in config.loss.terms),
        ("optimizer.algorithm=", config.optimizer.algorithm, OPTIMIZERS, STATE),
    ]
    for key, name, registry, instead in chosen:
        if name not in registry.own and name in registry:
            roots = [type(optimizer)] if registry is OPTIMIZERS else [load(registry[name])]
            yield f"{key}{name} of {registry.package_of(name)}", instead, roots
    kinds = {type(module): module for network in networks for module in network.modules()}
    for kind, module in kinds.items():
        if is_own(kind):
            yield f"{kind.__module__}:{kind.__name__}", BUFFER, [kind, module]
    yield f"model={config.model.name}", BUFFER, networks
