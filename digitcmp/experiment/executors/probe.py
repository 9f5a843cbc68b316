"""What a machine has: asked of the nodes of a cluster, and compared with this one."""

import platform
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from digitcmp.errors import ConfigError

About = dict[str, Any]  # as `make_probe` says it
COMPARED = {"python": "Python", "torch": "torch", "digitcmp": "digitcmp", "code": "code of digitcmp"}


def make_probe() -> Callable[[str | None], About]:
    """The function that says what a machine has. It is made here so that Ray sends it whole: a node need not have this package."""

    def probe(device: str | None) -> dict[str, Any]:
        """Versions, a sum of the package's code, and the platform; the free memory of its GPU. device: cpu, cuda; None: versions alone."""
        import hashlib
        import importlib.util
        import platform
        from pathlib import Path

        about: dict[str, Any] = {"python": platform.python_version(), "torch": None, "digitcmp": None, "code": None, "plugins": {}}
        if importlib.util.find_spec("torch"):
            import torch

            about["torch"] = torch.__version__.partition("+")[0]
        found = importlib.util.find_spec("digitcmp")
        if found is None or not found.origin:
            return about
        import digitcmp
        from digitcmp.config.offered import installed

        folder = Path(found.origin).parent
        files = [(str(path.relative_to(folder)), path.read_bytes()) for path in sorted(folder.rglob("*.py"))]
        about |= {"digitcmp": digitcmp.__version__, "code": hashlib.sha256(repr(files).encode()).hexdigest()[:12]}
        about["plugins"] = {package.name: package.version for package in installed()}
        if device and about["torch"]:
            from digitcmp.experiment.provenance import machine

            usable = device == "cpu" or torch.cuda.is_available()
            about["platform"] = machine(device) if usable else None
            about["memory"] = torch.cuda.mem_get_info()[0] if usable and device == "cuda" else None
        return about

    return probe


@cache
def here() -> About:
    """The versions of this machine."""
    return make_probe()(None)


def difference(there: About, ours: About) -> str:
    """The first thing that a node has otherwise than this machine, in words; empty where there is none."""
    versions = {name: (there[key], ours[key]) for key, name in COMPARED.items()}
    versions |= {package: (there["plugins"].get(package), version) for package, version in ours["plugins"].items()}
    for name, (its, own) in versions.items():
        if its != own:
            return f"has {f'{name} {its}' if its else f'no {name}'}, this machine {own}"
    return ""


def compare(ours: About) -> None:
    """Raise ConfigError where this machine, a node, has something otherwise than the one that asks."""
    if differs := difference(here(), ours):
        raise ConfigError(f"engine=ray: node {platform.node()} {differs}; install the same everywhere")


@dataclass(frozen=True)
class Begun:
    """A task has been begun by the node of this number in Ray: the first thing that is heard of it."""

    node: str


def make_work(ours: About) -> Callable[..., Iterator[Any]]:
    """The function of a task, as `digitcmp.experiment.executors.node.work`. It is made here so that Ray sends it whole, and compares
    again: a task may come to a node that has joined a moment ago, and that nobody has asked yet. ours: of the machine that asks."""

    def work(*arguments: Any) -> Iterator[Any]:
        import ray

        from digitcmp.experiment.executors import probe

        yield [probe.Begun(ray.get_runtime_context().get_node_id())]
        probe.compare(ours)

        from digitcmp.experiment.executors import node

        yield from node.work(*arguments)

    return work
