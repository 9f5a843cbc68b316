"""The Ray cluster that this process is connected to: its nodes, whether they fit this machine, and the data that they have been given.

A process has one connection at a time, from the first check of a configuration to its end; whoever asks for the same address gets it.
"""

import time
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import OutOfDiskError, RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

import digitcmp
from digitcmp.config.schema import DataConfig
from digitcmp.config.schema import Ray as Options
from digitcmp.data.sources import load
from digitcmp.errors import ConfigError, RunError
from digitcmp.experiment.executors.head import own_node, own_node_is_there
from digitcmp.experiment.executors.joining import join, told
from digitcmp.experiment.executors.node import packed
from digitcmp.experiment.executors.probe import About, difference, here, make_probe

ANSWER = 300.0  # seconds that a node may take to import torch and to say what it is
GIVEN_UP = 3.0  # seconds
SLICE = 1.0  # of them, after which it is looked whether there is a node here still
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
        self.there = set[str]()  # the numbers of the nodes that were alive at the last look
        self.data: dict[tuple[str, str | None, str | None, int], ray.ObjectRef[Any]] = {}
        join(address)

    def nodes(self, options: Options, patience: float = ANSWER) -> list[Node]:
        """The nodes that take tasks now, and have what this machine has. patience: seconds that they have to say so; with none, those
        that have not answered yet are left out.

        Raises ConfigError when there is none, when one differs from this machine, or has no GPU that torch can use; RunError for one that
        does not answer in time, or where this machine's is gone.
        """
        slots = [(one["NodeID"], one["NodeManagerHostname"], fitting(one["Resources"], options)) for one in alive()]
        self.there = {id_ for id_, _, _ in slots}
        if own_node() not in self.there:
            raise RunError("Ray has given up the node on this machine, which hangs or is gone; the same command goes on")
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
                if (about := self.answer(node, device, patience)) is not None:
                    self.abouts[node.id, device] = about

    def answer(self, node: Node, device: str, patience: float) -> "About | None":
        """What a node says; None for one that is gone, as Ray has found out meanwhile. Raises RunError for one that cannot say, or has not
        in time."""
        end = time.monotonic() + patience
        try:
            while not ray.wait([self.asked[node.id, device]], timeout=min(SLICE, patience))[0]:
                own_node_is_there()
                if time.monotonic() >= end:
                    why = f"has not begun a task within {patience:.0f} s; is it busy with others'?"
                    raise RunError(f"engine=ray: node {node.host} {why}")
            return ray.get(self.asked[node.id, device])
        except RayError as error:
            own_node_is_there()
            if is_gone(node):
                return None
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
            except OutOfDiskError as error:
                why = "Ray's object store on this node is full, and so is the disk for what it does not hold (full to Ray is 95 %)"
                raise RunError(f"engine=ray: no place for the digits: {why}; docs/cluster.md, Sizes") from error
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


def alive() -> list[dict[str, Any]]:
    """What Ray says of the nodes that it takes for alive. Raises RunError where the node on this machine has ended."""
    own_node_is_there()
    return [one for one in ray.nodes() if one["Alive"]]  # type: ignore[no-untyped-call]


def is_gone(node: Node) -> bool:
    """Whether Ray has given up a node that takes no task: it says so of its tasks a moment before it does of the node itself."""
    ends = time.monotonic() + GIVEN_UP
    while there := node.id in {one["NodeID"] for one in alive()}:
        if time.monotonic() >= ends:
            break
        time.sleep(0.1)
    return not there


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
