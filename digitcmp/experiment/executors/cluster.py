"""The Ray cluster that this process is connected to: its nodes, whether they fit this machine, and the data that they have been given.

A process has one connection at a time, from the first check of a configuration to its end; whoever asks for the same address gets it.
"""

import atexit
import logging
import os
import re
import shutil
import signal
import threading
from collections.abc import Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import ray
from ray._private import utils, worker
from ray.exceptions import GetTimeoutError, RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

import digitcmp
from digitcmp.config.allowed import ALLOWED, files
from digitcmp.config.schema import DataConfig
from digitcmp.config.schema import Ray as Options
from digitcmp.data.sources import load
from digitcmp.entry import ending_signals
from digitcmp.errors import ConfigError, RunError
from digitcmp.experiment.executors.head import last_known, look_for
from digitcmp.experiment.executors.node import packed
from digitcmp.experiment.executors.probe import About, difference, here, make_probe
from digitcmp.experiment.executors.server import KEEP_MEMORY, ONE_THREAD
from digitcmp.system import cpu_count

STARTS = 3  # of a Ray of its own, at most
ANSWER = 300.0  # seconds that a node may take to import torch and to say what it is
PACKAGE = Path(digitcmp.__file__).parent


@dataclass(frozen=True)
class Node:
    """A node that takes tasks: its number in Ray, its name, how many it takes at a time, and what it has, where it has said so."""

    id: str
    host: str
    slots: int
    about: About | None


class Cluster:
    """A connection, with what is known of the nodes. Raises ConfigError where there is none to be had."""

    def __init__(self, address: str | None) -> None:
        self.address, self.travels = address, False
        self.asked: dict[tuple[str, str], ray.ObjectRef[About]] = {}  # by a node's number and the device that it is to have
        self.abouts: dict[tuple[str, str], About] = {}
        self.data: dict[tuple[str, str | None, str | None, int], ray.ObjectRef[Any]] = {}
        join(address)

    def nodes(self, options: Options, patience: float = ANSWER) -> list[Node]:
        """The nodes that take tasks now, and have what this machine has. patience: seconds that they have to say so; with none, those
        that have not answered yet are left out.

        Raises ConfigError when there is none, when one differs from this machine, or has no GPU that torch can use; RunError for one that
        does not answer in time.
        """
        slots = [(one["NodeID"], one["NodeManagerHostname"], fitting(one["Resources"], options)) for one in alive()]
        nodes = [Node(id_, host, number, self.abouts.get((id_, device_of(options)))) for id_, host, number in slots if number]
        if not nodes:
            raise nowhere(options)
        if unknown := [node for node in nodes if node.about is None]:
            self.ask(unknown, options, patience)
            return self.nodes(options, patience) if patience else [node for node in nodes if node.about]
        if not self.travels and all(node.about and node.about["digitcmp"] is None for node in nodes):
            self.travel()
            return self.nodes(options, patience)
        for node in nodes:
            fits(node, options)
        return nodes

    def ask(self, nodes: list[Node], options: Options, patience: float) -> None:
        """Let nodes say what they are. Raises RunError for one that has not answered then, unless there was no time at all."""
        device = device_of(options)
        for node in nodes:
            if (node.id, device) not in self.asked:
                place = NodeAffinitySchedulingStrategy(node.id, soft=False)
                asking = ray.remote(make_probe()).options(num_cpus=0, num_gpus=options.gpus, max_retries=0, scheduling_strategy=place)
                self.asked[node.id, device] = asking.remote(device)
        for node in nodes:
            with nullcontext() if patience else suppress(RunError):
                self.abouts[node.id, device] = self.answer(node, device, patience)

    def answer(self, node: Node, device: str, patience: float) -> "About":
        """What a node says. Raises RunError for one that cannot, or has not in time."""
        try:
            return ray.get(self.asked[node.id, device], timeout=patience)
        except GetTimeoutError:
            raise RunError(f"engine=ray: node {node.host} has not begun a task within {patience:.0f} s; is it busy with others'?") from None
        except RayError as error:
            raise RunError(f"engine=ray: node {node.host} cannot begin a task: {told(error)}") from error

    def travel(self) -> None:
        """Connect anew, and let the package travel with the tasks: no node has it."""
        ray.shutdown()
        self.travels, self.asked, self.abouts, self.data = True, {}, {}, {}
        join(self.address, py_modules=[str(PACKAGE)])

    def put(self, data: DataConfig) -> "ray.ObjectRef[Any]":
        """A data set in the object store, where it is put once. Raises RunError where there is no place for it."""
        key = (data.source, data.root, data.fingerprint, data.size)
        if key not in self.data:
            try:
                self.data[key] = ray.put(packed(load(*key)))
            except RayError as error:
                raise RunError(f"engine=ray: the digits cannot be put into Ray's object store ({told(error)})") from error
        return self.data[key]


current: Cluster | None = None


def connect(address: str | None) -> Cluster:
    """The connection to this address, which is made where there is none. Raises ConfigError."""
    global current
    if current is None or current.address != address or not ray.is_initialized():
        ray.shutdown()
        current = Cluster(address)
    return current


def join(address: str | None, **environment: Any) -> None:
    """Become a driver of the cluster, or of a Ray of its own. environment: what processes of the nodes need beyond their variables.

    Raises ConfigError, within seconds, when there is no such cluster, or when this machine does not belong to it.
    """
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # as later versions do
    utils.set_sigterm_handler = lambda _: None  # Ray's own, where it starts nodes, would end the command with exit code 1
    start: dict[str, Any] = {"address": address}
    if address is None:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # a Ray of our own tells nobody about itself
        start = {"address": "local", "num_cpus": cpu_count(), "include_dashboard": False}
    elif (known := last_known() if address == "auto" else address) != "auto":
        look_for(known, address)
    start |= {
        "log_to_driver": False,
        "logging_level": logging.ERROR,
        "runtime_env": {"env_vars": {**ONE_THREAD, **KEEP_MEMORY, **carried()}, **environment},
    }
    if files():
        start["runtime_env"]["working_dir"] = str(copied(files()))
    try:
        begin(start)
    except Exception as error:  # of its many kinds, one is Exception itself
        if address is None:
            raise ConfigError(f"engine=ray: no Ray can be started here ({told(error)})") from error
        hint = "is this machine a node of it, and are RAY_AUTH_MODE and the token those of its head?"
        raise ConfigError(f"ray.address={address}: the cluster cannot be joined from here ({told(error)}); {hint}") from error

    hear_signals()
    worker.print_to_stdstream = lambda *_, **__: (
        None
    )  # dozens of lines whenever a process dies, for which there is no switch; we tell it in one


def carried() -> dict[str, str]:
    """What tells processes of nodes which files are let in: their working folder has copies of them."""
    return {ALLOWED: ",".join(file.name for file in files())} if files() else {}


def copied(let_in: Sequence[Path]) -> Path:
    """A folder with these files and the modules beside them, which Ray takes to the nodes."""
    folder = Path(mkdtemp(prefix="digitcmp-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    for file in {path for one in let_in for path in one.parent.glob("*.py")}:
        shutil.copy(file, folder)
    return folder


def begin(start: dict[str, Any]) -> None:
    """Let Ray begin; again where a node of its own has not come up in the half a minute that Ray waits for it, as on a busy machine."""
    for _ in range(STARTS - 1):
        try:
            ray.init(**start)
            return
        except Exception as error:
            if "timed out during startup" not in str(error):
                raise
    ray.init(**start)


def hear_signals() -> None:
    """Let Python listen again to the signals that end programs: Ray's library listens to SIGTERM, too, once in a process; it would print
    where the process was, and abort it three seconds later, whatever it has to put in order."""
    if threading.current_thread() is threading.main_thread():
        for number in ending_signals():
            if (handler := signal.getsignal(number)) is not None:
                signal.signal(number, handler)


def alive() -> list[dict[str, Any]]:
    """What Ray says of the nodes that it takes for alive."""
    return [one for one in ray.nodes() if one["Alive"]]  # type: ignore[no-untyped-call]


def fitting(has: dict[str, float], options: Options) -> int:
    """How many tasks a node with these resources takes at a time."""
    cpus = int(has.get("CPU", 0) // options.cpus)
    return min(cpus, int(has.get("GPU", 0) / options.gpus + 1e-9)) if options.gpus else cpus


class NoNodeError(ConfigError):
    """No node of the cluster takes a task."""


def nowhere(options: Options) -> NoNodeError:
    """The error of a cluster none of whose nodes takes a task."""
    there = [one["Resources"] for one in alive()]
    for name, asked in (("cpus", float(options.cpus)), ("gpus", options.gpus)):
        most = max((has.get(name.upper()[:3], 0) for has in there), default=0)
        if asked > most:
            return NoNodeError(f"ray.{name}={asked:g}: the largest of the cluster's {len(there)} nodes has {most:g}")
    return NoNodeError(f"ray.cpus={options.cpus}, ray.gpus={options.gpus:g}: no node of the cluster has both")


def device_of(options: Options) -> str:
    """The type of the device that tasks train on."""
    return "cuda" if options.gpus else "cpu"


def fits(node: Node, options: Options) -> None:
    """Raise ConfigError for a node that has not what this machine has, or not what is asked for."""
    assert node.about is not None
    if differs := difference(node.about, here()):
        raise ConfigError(f"engine=ray: node {node.host} {differs}; install the same everywhere")
    if node.about["platform"] is None:
        raise ConfigError(f"ray.gpus={options.gpus:g}: torch {node.about['torch']} finds no usable GPU on node {node.host}")


def told(error: BaseException) -> str:
    """An error of Ray's in one line: its first sentence, without colours."""
    lines = [line.strip() for line in re.sub(r"\x1b\[[0-9;]*m", "", str(error)).splitlines()]
    first = next((line for line in lines if line), type(error).__name__)
    return first.partition(". ")[0].removeprefix("Task failed because ").rstrip(".")
