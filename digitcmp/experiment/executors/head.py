"""Where the head of a Ray cluster is, whether it answers, and whether this machine's node is there and still the head's: asked within
seconds, where Ray itself would wait for minutes, or end the program without a word."""

import os
import re
import socket
from pathlib import Path
from tempfile import gettempdir

import ray
from ray._private import worker

from digitcmp.errors import ConfigError, RunError

PATIENCE = 8.0  # seconds that a head may take to answer, which is busy or far away
ENDED = "Ray's node on this machine has ended; the same command goes on"
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(3) + b"\x04" + bytes(5)  # of HTTP/2, with an empty frame of settings


def last_known() -> str:
    """The address that `auto` stands for: that of the environment, or of the last cluster that was started on this machine, which may
    be gone: Ray itself would wait for it for minutes."""
    if given := os.environ.get("RAY_ADDRESS"):
        return given
    started = Path(os.environ.get("RAY_TMPDIR") or gettempdir(), "ray", "ray_current_cluster")
    try:
        return started.read_text(encoding="utf-8").strip() or "auto"
    except (OSError, ValueError):
        return "auto"


def look_for(known: str, address: str) -> None:
    """Raise ConfigError when no head of a cluster answers at an address. known: what the address given stands for."""
    named = f"ray.address={address}" + (f" ({known})" if known != address else "")
    if not (parts := re.fullmatch(r"\[?([^/\[\]]+)\]?:(\d{1,5})", known)):
        raise ConfigError(f"{named}: give auto, the HOST:PORT of a cluster's head, or null for a Ray of the command's own")
    if problem := silence(parts[1], int(parts[2])):
        raise ConfigError(f"{named}: no head of a Ray cluster answers there ({problem}); one is started by: ray start --head")


def silence(host: str, port: int) -> str:
    """Why no server of Ray's protocol (gRPC) answers, in words; empty when one does."""
    try:
        with socket.create_connection((host, port), PATIENCE) as connection:
            connection.settimeout(PATIENCE)
            connection.sendall(PREFACE)
            answer = connection.recv(9)
    except (OSError, OverflowError) as error:
        return (getattr(error, "strerror", None) or str(error)).lower()
    return "" if answer[3:4] == b"\x04" else "something else listens"


def head_silence() -> str:
    """Why the head of the cluster does not answer, in words; empty when it does."""
    host, _, port = ray.get_runtime_context().gcs_address.rpartition(":")
    return silence(host.strip("[]"), int(port))


def own_node() -> str:
    """The number in Ray of the node on this machine, through which this process gives tasks to all others."""
    return str(ray.get_runtime_context().get_node_id())


def given_up() -> bool:
    """Whether Ray has given up the node on this machine."""
    return not any(one["NodeID"] == own_node() and one["Alive"] for one in ray.nodes())  # type: ignore[no-untyped-call]


def own_node_is_there() -> None:
    """Raise RunError where the node on this machine has ended: soon after, Ray would end this program without a word."""
    if own_node_ended():
        raise RunError(ENDED)


def own_node_lost() -> bool:
    """Whether something that the node of a Ray of its own needs has ended, as it is known at once."""
    return bool(getattr(worker.global_worker.node, "lost", False))


def own_node_ended() -> bool:
    """Whether the process of the node on this machine is gone: nobody listens where it did. One that hangs is still there."""
    if own_node_lost():
        return True
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(1.0)
        try:
            connection.connect(worker.global_worker.node.raylet_socket_name)  # type: ignore[union-attr]
        except OSError as error:
            return isinstance(error, ConnectionRefusedError | FileNotFoundError)
    return False
