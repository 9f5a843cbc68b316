"""Registries: what a configuration names, and where it is. Nothing is imported before it is used; other packages add entries under names
of their own (`digitcmp.config.offered`)."""

import json
from collections.abc import Callable, Iterable, Iterator, MutableMapping
from dataclasses import dataclass, is_dataclass
from difflib import get_close_matches
from functools import cache, partial
from importlib import import_module
from typing import Any, Generic, TypeVar, get_type_hints

from digitcmp.config.offered import PREFIX, Offer, Package, imported, offers
from digitcmp.errors import ConfigError

T = TypeVar("T")

# Of torch.optim: those that work element by element and so treat stacked rounds as independent; LBFGS or Adafactor look at whole tensors.
ALGORITHMS = ("SGD", "Adam", "AdamW", "NAdam", "RAdam", "RMSprop", "Adagrad", "Adadelta", "Adamax")


@dataclass(frozen=True)
class Component:
    """What a package offers that has keys. place: the function or class, or `package.module:name`, which is imported when it is used;
    schema: the dataclass of its keys, below AugmentConfig, OptimizerConfig or SchedulerConfig."""

    place: Any
    schema: type


class Registry(MutableMapping[str, T], Generic[T]):
    """Things by their names: our own, and those that packages offer in a group of entry points.

    take: makes of an offer what the registry holds. Going over the names imports nothing; our own come first, and are never replaced.
    """

    def __init__(self, group: str, own: dict[str, T], take: Callable[[Offer], T]) -> None:
        self.group, self.own, self.take = group, own, take

    def offered(self) -> dict[str, list[Offer]]:
        """What packages offer, by names that are not our own."""
        return {name: several for name, several in offers()[self.group].items() if name not in self.own}

    def offer(self, name: str) -> Offer:
        """The offer of this name. Raises KeyError where there is none, ConfigError where there are several."""
        first, *others = self.offered()[name]
        if others:
            both = " and ".join(str(one.package) for one in (first, *others))
            raise ConfigError(f"{name}: {both} both offer it ({PREFIX}{self.group}); uninstall one of them")
        return first

    def __getitem__(self, name: str) -> T:
        """Raises KeyError for a name that there is not, ConfigError for one whose package cannot be imported, or that two packages have."""
        return self.own[name] if name in self.own else self.take(self.offer(name))

    def __contains__(self, name: object) -> bool:
        return name in self.own or name in self.offered()

    def __setitem__(self, name: str, value: T) -> None:
        self.own[name] = value

    def __delitem__(self, name: str) -> None:
        del self.own[name]

    def __iter__(self) -> Iterator[str]:
        yield from self.own
        yield from sorted(self.offered())

    def __len__(self) -> int:
        return len(self.own) + len(self.offered())

    def usable(self) -> Iterator[tuple[str, T]]:
        """Names and things, without those of packages that are broken: whoever asks for one of these is told."""
        for name in self:
            try:
                yield name, self[name]
            except ConfigError:
                continue

    def package_of(self, name: str) -> Package | None:
        """The package that offers this; None for our own. Raises what `offer` raises."""
        return None if name in self.own else self.offer(name).package

    def check(self, key: str, name: str, what: str, own: Iterable[str] | None = None) -> None:
        """Raise ConfigError for a name that is not known, with the nearest one, and whose packages offer such things.

        key: where it stands; what: what it should be; own: those of ours that fit, None for all.
        """
        names = [*(self.own if own is None else own)]
        if name in names or name in self.offered():
            return
        by: dict[str, list[str]] = {}
        for offered, several in sorted(self.offered().items()):
            by.setdefault(" and ".join(str(one.package) for one in several), []).append(offered)
        more = "".join(f"; {package} offers {', '.join(some)}" for package, some in by.items())
        none = "" if by else f"; no installed package offers others ({PREFIX}{self.group})"
        check_known(key, name, what, [*names, *self.offered()], f"{', '.join(names)}{more or none}")


def load(place: Any) -> Any:
    """What is at a place (`package.module:name`), or the thing itself. Raises ConfigError where there is nothing."""
    if not isinstance(place, str):
        return place
    module, _, name = place.partition(":")
    if module.startswith(PREFIX):
        return getattr(import_module(module), name)
    with imported(place):
        return getattr(import_module(module), name)


def check_known(key: str, name: str, what: str, known: Iterable[str], told: str | None = None) -> None:
    """Raise ConfigError for a name that is not known, with the nearest one. key: where it stands; what: what it should be; told: which
    there are, where that is not just their names."""
    names = [*known]
    if name not in names:
        near = get_close_matches(name, names, n=1)
        meant = f" (did you mean {near[0]}?)" if near else ""
        raise ConfigError(f"{key}: there is no such {what}{meant}; there are {told or ', '.join(names)}")


def component(offer: Offer) -> Component:
    """What a package offers that has keys. Raises ConfigError for anything else."""
    found = offer.load()
    if not isinstance(found, Component):
        raise ConfigError(f"{offer} is no digitcmp.config.registry.Component but a {type(found).__name__}")
    return found


def thing(offer: Offer) -> Any:
    """The function or class of a component. Raises ConfigError."""
    return load(component(offer).place)


@cache
def schema(offer: Offer, base: type, chosen: str) -> type:
    """The keys of a component: a dataclass below `base`, whose keys it leaves what they are; `chosen`, which tells a group's choices
    apart, is the name that it is offered under. Raises ConfigError for any other."""
    found = component(offer).schema
    if not (isinstance(found, type) and is_dataclass(found) and issubclass(found, base)):
        raise ConfigError(f"{offer}: its schema {getattr(found, '__name__', found)} is no dataclass below {base.__name__}")
    from omegaconf import OmegaConf  # not before a package has offered one: a run's status is looked up without

    try:
        known, hints = get_type_hints(base), get_type_hints(found)
        json.dumps(OmegaConf.to_container(OmegaConf.structured(found)))  # as it goes on record
    except Exception as error:  # what it is made of is code of others
        said = (str(error).splitlines() or [type(error).__name__])[0]
        raise ConfigError(f"{offer}: its schema {found.__name__} cannot be read ({said})") from error
    if clashes := [name for name in known if hints[name] != known[name]]:
        name = clashes[0]
        raise ConfigError(
            f"{offer}: its schema gives {name} the type {told(hints[name])}; it is digitcmp's own key, of type {told(known[name])}"
        )
    if (value := getattr(found, chosen, None)) != offer.name:
        raise ConfigError(f"{offer}: its schema has {chosen}={value}; it must be the name that it is offered under, {offer.name}")
    return found


def told(kind: Any) -> str:
    """A type in words."""
    return str(getattr(kind, "__name__", kind))


def schemas(group: str, own: dict[str, type], base: type, chosen: str) -> Registry[type]:
    """The schemas of a group's choices (see `schema`)."""
    return Registry(group, own, partial(schema, base=base, chosen=chosen))


LOSSES = Registry[Any](  # terms of the loss: (embeddings [S, B, 2, F], digits [S, B, 2], margin) -> [S]
    "losses",
    {"contrastive": "digitcmp.train.losses:contrastive", "triplet": "digitcmp.train.losses:triplet"},
    lambda offer: offer.place,
)
