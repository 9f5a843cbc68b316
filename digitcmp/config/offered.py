"""What other packages offer: found by their entry points, imported when it is used, and trusted because they are installed.

A package offers things under names, in the groups of entry points `digitcmp.blocks`, `digitcmp.data`, …; its YAML files lie in `conf/`
of its top-level module. Here are names and places alone: nothing of a package is imported to list what it offers. A file that
--allow-code lets in is a package too: it has a dictionary for each group (`blocks = {"name": …}`), and is imported for that.
"""

import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache, partial
from importlib import import_module, invalidate_caches
from importlib.metadata import Distribution, EntryPoint, entry_points
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

from digitcmp.config.allowed import ALLOWED, CHANGED, OWN, check_begun_with, code_here, files
from digitcmp.config.own_code import parts_of, sources, version_of
from digitcmp.errors import ConfigError
from digitcmp.given import shown

NAME = re.compile(r"\w[\w.-]*")
PREFIX = "digitcmp."
IMPORTED: dict[Path, tuple[str, dict[str, str]]] = {}  # of files that are imported: version, and hashes of what it is of, as they were then
KINDS = {  # groups of entry points: what each holds, and how it is chosen
    "blocks": "kind",
    "data": "data",
    "augmentations": "augment",
    "optimizers": "optimizer",
    "losses": "loss.terms",
    "schedules": "scheduler",
}


@dataclass(frozen=True)
class Package:
    """Whoever offers something. folder: of its YAML files, None without; code: of its modules."""

    name: str
    version: str
    folder: Path | None = None
    code: Path | None = None

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


@dataclass(frozen=True)
class Offer:
    """A thing that a package offers: its group of entry points, its name, and where it is (package.module:name; of a file, the thing)."""

    group: str
    name: str
    package: Package
    place: Any = field(compare=False)
    get: Callable[[], Any] = field(compare=False, repr=False)

    def __str__(self) -> str:
        return f"{PREFIX}{self.group} {self.name} of {self.package}"

    def load(self) -> Any:
        """The thing itself. Raises ConfigError where it cannot be imported."""
        with imported(self):
            return self.get()


@contextmanager
def imported(what: object) -> Iterator[None]:
    """Import code of others. Raises ConfigError for whatever that raises: one that ends the program (`sys.exit()`) would end it as if all
    were done."""
    try:
        yield
    except (ConfigError, KeyboardInterrupt):
        raise
    except BaseException as error:
        said = (str(error).splitlines() or [""])[0]
        raise ConfigError(f"{what} cannot be imported ({type(error).__name__}: {said})") from error


def offers() -> dict[str, dict[str, list[Offer]]]:
    """What packages offer: by group and name; several may offer the same one. Raises ConfigError for a file that cannot be imported, or is
    not the one that the command has begun with."""
    found = read(*code_here())
    for file in files():
        check_begun_with(file, IMPORTED[file][0])
    return found


@lru_cache(maxsize=1)
def read(path: tuple[str, ...], let_in: tuple[Path, ...], changed: int) -> dict[str, dict[str, list[Offer]]]:
    """See `offers`. path: of modules, on which packages are found; let_in: files; changed: how many of these were, since they were
    imported."""
    del path, changed
    found: dict[str, dict[str, list[Offer]]] = {group: {} for group in KINDS}
    whole = entry_points()
    for group in KINDS:
        for point in whole.select(group=f"{PREFIX}{group}"):
            if point.dist is not None:
                offer = Offer(group, point.name, package_of(point, point.dist), point.value, point.load)
                found[group][point.name] = sorted([*found[group].get(point.name, []), offer], key=lambda offer: offer.package.name)
    for file in let_in:
        module = module_of(file, let_in)
        package = Package(f"{file.parent.name}/{file.name}", IMPORTED[file][0], code=file)
        for group in KINDS:
            for name, thing in named(file, group, getattr(module, group, {})).items():
                found[group].setdefault(name, []).append(Offer(group, name, package, thing, partial(itself, thing)))
    return found


def renew() -> None:
    """Import files that were let in again, where they have been changed since this process has imported them, before the next command: it
    would train with the code of before. Raises ConfigError where what they import from elsewhere has been changed, of which a process has
    one version."""
    for file in filter(Path.is_file, files()):
        now = parts_of(f"{OWN}{file.stem}", file)
        _, parts = IMPORTED.get(file, ("", now))
        changed = [name for name in {**parts, **now} if parts.get(name) != now.get(name)]
        if others := [name for name in changed if name in parts and name in now and not name.startswith(OWN)]:
            raise ConfigError(
                f"{file}: {', '.join(others)}, which it imports, has been changed since this process has imported it, and would be used as "
                "it was; begin a new process (in a notebook: restart its kernel)"
            )
        if changed:
            CHANGED.append(file)
            del IMPORTED[file]
            for name in [name for name in sys.modules if name.startswith(OWN)]:
                del sys.modules[name]


def named(file: Path, group: str, given: object) -> Mapping[str, Any]:
    """What a file offers in a group. Raises ConfigError for what is no dictionary, and for a key that is no name."""
    if not isinstance(given, Mapping):
        raise ConfigError(f"{file}: {group} is a {type(given).__name__}; it must be a dictionary, as in {group} = {{'mine': Mine}}")
    for name in given:
        if not (isinstance(name, str) and NAME.fullmatch(name)):
            raise ConfigError(f"{file}: {group} has {shown(name)}, which is no name; a name has letters, digits, _, - and . alone")
    return given


def itself(thing: Any) -> Any:
    """The thing."""
    return thing


def module_of(file: Path, let_in: tuple[Path, ...]) -> ModuleType:
    """The module of a file that is let in. Raises ConfigError where it cannot be imported."""
    name = f"{OWN}{file.stem}"
    if not file.is_file():
        raise ConfigError(f"{file}: there is no such file; it is let in by {ALLOWED} in the environment, which is to be corrected or unset")
    if [other.stem for other in let_in].count(file.stem) > 1:
        raise ConfigError(f"--allow-code {file}: another file of this name is let in, too; give one of them another name")
    import_module("digitcmp.own").__path__ = [str(one.parent) for one in let_in]
    forget_others(let_in)
    new = name not in sys.modules
    invalidate_caches()
    with imported(file):
        found, before = find_spec(name), Path.cwd()
        if found is None or not Path(str(found.origin)).samefile(file):  # a package of its name, or a file beside another one let in
            origin = found.origin if found else "nothing"
            raise ConfigError(f"--allow-code {file}: Python takes {origin} for it; give the file another name, without dots")
        module = import_module(name)
        if Path.cwd() != before:
            os.chdir(before)
            raise ConfigError(f"{file} changes the working folder when it is imported, and with it where results go; take that out")
        if new or file not in IMPORTED:
            check_beside(name, file)
            IMPORTED[file] = version_of(name, file), parts_of(name, file)
        return module


def check_beside(name: str, file: Path) -> None:
    """Raise ConfigError where a file that is let in has got what is beside another one in place of what is beside itself."""
    for other, path in sources(name, file).items():
        first = file.parent / other.removeprefix(OWN).partition(".")[0]
        beside = other.startswith(OWN) and (first.is_dir() or first.with_suffix(".py").is_file())
        if beside and root(other, path).resolve() != file.parent.resolve():
            raise ConfigError(
                f"--allow-code {file}: it imports {other.removeprefix(OWN)}, for which Python takes {path}, beside another file that is "
                "let in; give one of them another name"
            )


def root(name: str, path: Path) -> Path:
    """The folder that a module lies in, with the packages that it is of."""
    within = name.removeprefix(OWN).count(".") + (path.name == "__init__.py")
    return path.parents[within]


def forget_others(let_in: tuple[Path, ...]) -> None:
    """Let modules go that an earlier command has let in, and those beside them, which may have the names of others now."""
    folders = {file.parent.resolve() for file in let_in}
    named = {f"{OWN}{file.stem}": file.resolve() for file in let_in}
    for name, module in [*sys.modules.items()]:
        if not name.startswith(OWN):
            continue
        place = getattr(module, "__file__", None)  # none of a package without a file
        if place is None or (file := Path(place).resolve()) != named.get(name, file) or root(name, file) not in folders:
            del sys.modules[name]


def package_of(point: EntryPoint, distribution: Distribution) -> Package:
    """The package of an entry point. It is looked for, and not imported."""
    spec = find_spec(point.module.partition(".")[0])
    places = [Path(place) for place in (spec.submodule_search_locations or [] if spec else [])]
    folder = next((place / "conf" for place in places if (place / "conf").is_dir()), None)
    return Package(distribution.name, distribution.version, folder, places[0] if places else None)


def packages() -> list[Package]:
    """Those that offer something, in the order of their names."""
    found = {offer.package for names in offers().values() for several in names.values() for offer in several}
    return sorted(found, key=lambda package: package.name)


def installed() -> list[Package]:
    """Those that are installed, and are no files that were let in."""
    return [package for package in packages() if package.code not in files()]
