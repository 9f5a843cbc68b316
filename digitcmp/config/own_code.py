"""What a file of somebody's own consists of: itself, and what it imports that is no installed package and not digitcmp."""

import ast
import hashlib
import sysconfig
from collections.abc import Iterable, Iterator
from contextlib import suppress
from importlib.machinery import ModuleSpec
from importlib.util import find_spec, resolve_name
from pathlib import Path

from digitcmp.config.allowed import OWN

DIGITS = 12  # of the hash


def version_of(module: str, file: Path) -> str:
    """A hash of a module that has been imported from this file, and of all of somebody's own that it imports, wherever in it that is."""
    own = dict.fromkeys([file, *(path for _, path in sorted(sources(module, file).items()))])
    return hashed(path.read_bytes() for path in own)


def parts_of(module: str, file: Path) -> dict[str, str]:
    """The hashes of these, by the modules that they are."""
    return {name: hashed([path.read_bytes()]) for name, path in sources(module, file).items()}


def hashed(contents: Iterable[bytes]) -> str:
    """A hash of what is in files."""
    return hashlib.sha256(b"".join(contents)).hexdigest()[:DIGITS]


def sources(module: str, file: Path) -> dict[str, Path]:
    """The files of a module, and of all of somebody's own that it imports, by the modules that they are."""
    files = {module: file}
    waiting = [module]
    while waiting:
        for name in imports(files[one := waiting.pop()], one):
            if name not in files and (path := source_of(name)) is not None:
                files[name] = path
                waiting.append(name)
    return files


def imports(file: Path, module: str) -> Iterator[str]:
    """The modules that a file names in its import statements, and those that they lie in. What is imported from one may be one, too."""
    package = module if file.name == "__init__.py" else module.rpartition(".")[0]
    nodes: list[ast.AST] = []
    with suppress(SyntaxError, ValueError):  # of a file that is imported later, or never
        nodes = list(ast.walk(ast.parse(file.read_bytes())))
    for node in nodes:
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            with suppress(ImportError):  # beyond its package: told when it is imported
                whole = resolve_name("." * node.level + (node.module or ""), package) if node.level else str(node.module)
                names = [whole, *(f"{whole}.{alias.name}" for alias in node.names)]
        for name in filter(is_own, names):
            parts = name.split(".")
            yield from (".".join(parts[:count]) for count in range(1, len(parts) + 1))


def is_own(name: str) -> bool:
    """Whether a module is of somebody's own: neither digitcmp's, nor Python's, nor of an installed package."""
    top = name.partition(".")[0]
    if top == "digitcmp":
        return name.startswith(OWN)
    spec = found(top)
    places = [] if spec is None else [*(spec.submodule_search_locations or []), *([spec.origin] if spec.has_location else [])]
    return bool(places) and not any(is_installed(Path(str(place))) for place in places)


def is_installed(path: Path) -> bool:
    """Whether a module lies where Python's own and installed packages do."""
    return bool({"site-packages", "dist-packages"} & {*path.parts}) or any(
        path.is_relative_to(folder) for name in ("stdlib", "platstdlib") if (folder := sysconfig.get_path(name))
    )


def source_of(name: str) -> Path | None:
    """The file of a module; None where it has none in Python."""
    spec = found(name)
    path = Path(spec.origin) if spec and spec.has_location and spec.origin else None
    return path if path and path.suffix == ".py" and path.is_file() else None


def found(name: str) -> ModuleSpec | None:
    """Where a module would be imported from; None where nobody can tell, as where the package that it lies in breaks."""
    with suppress(Exception):
        return find_spec(name)
    return None
