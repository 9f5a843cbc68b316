"""engine=ray: a real cluster on loopback, in a network namespace since Ray listens beyond it (on_ray.py); and what needs no cluster."""

import importlib.util
import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from queue import SimpleQueue

import pytest

from digitcmp.errors import ConfigError
from digitcmp.experiment.executors.choose import make_executor
from digitcmp.experiment.provenance import machine, merged
from tests.conftest import ROOT, Ended, compose_config
from tests.experiment.raylets import TOKEN

INSIDE = ["unshare", "-n", "bash", "-c", 'ip link set lo up && exec "$@"', "-"]
Cli = Callable[..., Ended]


def no_cluster() -> str:
    """Why there can be no cluster here; empty where there can."""
    if importlib.util.find_spec("ray") is None:
        return "Ray is not installed"
    try:
        tried = subprocess.run([*INSIDE, "unshare", "-m", "true"], capture_output=True, text=True, check=False)
    except OSError as error:
        return f"there are no network namespaces: {error}"
    return f"no network namespace can be made: {tried.stderr.strip()}" if tried.returncode else ""


NO_CLUSTER = no_cluster()
needs_ray = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is not installed")


@pytest.mark.timeout(3600)
@pytest.mark.skipif(bool(NO_CLUSTER), reason=NO_CLUSTER)
def test_on_a_cluster(tmp_path: Path) -> None:
    """All tests of on_ray.py, in a process and a network of their own."""
    pytest_ = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "no:xdist",
        "-o",
        "addopts=",
        "-q",
        "-W",
        "ignore:unclosed file <_io.FileIO:ResourceWarning",  # Ray's own pipe to the raylet that ray.init starts, which it never closes
        "--durations=0",
        f"--basetemp={tmp_path}/ray",
    ]
    made = [sys.executable, "-m", "ray.scripts.scripts", *TOKEN.split()]
    subprocess.run(made, env={**os.environ, "HOME": str(tmp_path)}, check=True, capture_output=True)
    token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": f"{tmp_path}/.ray/auth_token"}
    variables = {**os.environ, **token, "DIGITCMP_RAYLETS": "1", "RAY_USAGE_STATS_ENABLED": "0", "PYTHONPATH": str(ROOT)}
    ended = subprocess.run(
        [*INSIDE, *pytest_, "tests/experiment/on_ray.py"], cwd=ROOT, env=variables, capture_output=True, text=True, check=False
    )
    print(ended.stdout)
    assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.fixture
def other_port() -> Iterator[int]:
    """Where something listens that is no Ray."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:

        def answer() -> None:
            with server.accept()[0] as connection:
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        threading.Thread(target=answer, daemon=True).start()
        yield server.getsockname()[1]


@needs_ray
def test_no_head_answers(run_cli: Cli, other_port: int) -> None:
    """Within seconds, in one line; nothing is written. A head that is stopped (kill -STOP) takes a connection, and says nothing."""
    silent = socket.create_server(("127.0.0.1", 0))
    stopped = silent.getsockname()[1]
    wrong = {
        f"127.0.0.1:{stopped}": f"ray.address=127.0.0.1:{stopped}: no head of a Ray cluster answers there (timed out)",
        "127.0.0.1:1": "ray.address=127.0.0.1:1: no head of a Ray cluster answers there (connection refused)",
        f"127.0.0.1:{other_port}": f"ray.address=127.0.0.1:{other_port}: no head of a Ray cluster answers there (something else listens)",
        "ray": "ray.address=ray: give auto, the HOST:PORT of a cluster's head, or null for a Ray of the command's own",
    }
    for address, text in wrong.items():
        ended = run_cli("engine=ray", f"ray.address={address}", "hydra.run.dir=run")
        assert (ended.code, ended.err.count("\n")) == (1, 1), ended.err
        assert ended.err.startswith(f"digitcmp: {text}")
    silent.close()
    assert not Path("run").exists()


HANGS = """
import sys
from digitcmp import cli
from digitcmp.experiment.executors import joining
joining.JOINS = 1.0
sys.argv = ["digitcmp", "engine=ray", f"ray.address=127.0.0.1:{sys.argv[1]}", "hydra.run.dir=run"]
cli.main()
"""


@needs_ray
def test_a_head_that_hangs(tmp_path: Path) -> None:
    """It greets, and says no more: Ray itself would wait for ever. One line of ours, within `JOINS`, and the command ends."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:

        def greet() -> None:
            with suppress(OSError), ExitStack() as kept:
                while True:
                    connection = kept.enter_context(server.accept()[0])
                    connection.sendall(bytes(3) + b"\x04" + bytes(5))  # of HTTP/2: settings, none

        greeting = threading.Thread(target=greet, daemon=True)
        greeting.start()
        port, variables = server.getsockname()[1], {**os.environ, "PYTHONPATH": str(ROOT)}
        ended = subprocess.run(
            [sys.executable, "-c", HANGS, str(port)], cwd=tmp_path, env=variables, capture_output=True, text=True, check=False
        )
        server.shutdown(socket.SHUT_RDWR)
        greeting.join()
    told = [line for line in ended.stderr.splitlines() if line.startswith("digitcmp: ")]
    why = "its head, or its node on this machine, has not answered for 1 s"
    assert (ended.returncode, len(told)) == (1, 1), ended.stderr
    assert told[0].startswith(f"digitcmp: ray.address=127.0.0.1:{port}: the cluster cannot be joined from here ({why}); ")
    assert not list(tmp_path.iterdir())


@needs_ray
def test_the_last_cluster_of_this_machine_may_be_gone(run_cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its address is still on record, and nothing answers there: told at once, where Ray would wait for minutes."""
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    (tmp_path / "ray").mkdir()
    (tmp_path / "ray" / "ray_current_cluster").write_text(f"127.0.0.1:{port}")
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    ended = run_cli("engine=ray", "ray.address=auto", "hydra.run.dir=run")
    assert ended.code == 1
    assert ended.err.startswith(f"digitcmp: ray.address=auto (127.0.0.1:{port}): no head of a Ray cluster answers there")


@needs_ray
def test_a_node_must_have_what_this_machine_has() -> None:
    """The first difference is told, with both versions; a node of another CPU is taken, and named."""
    from digitcmp.experiment.executors.cluster import Node, fits
    from digitcmp.experiment.executors.probe import compare, here, make_probe

    about, options = make_probe()("cpu"), compose_config().ray
    assert about["platform"] == machine("cpu")
    fits(Node("1", "a", 4, about), options)
    for key, text in {
        "torch": "has torch 1.0",
        "python": "has Python 1.0",
        "digitcmp": "has digitcmp 1.0",
        "code": "has code of digitcmp 1.0",
    }.items():
        with pytest.raises(
            ConfigError, match=rf"^engine=ray: node a {text}, this machine {re.escape(here()[key])}; install the same everywhere$"
        ):
            fits(Node("1", "a", 4, {**about, key: "1.0"}), options)
        # what was asked too late is met by the task itself
        with pytest.raises(ConfigError, match=rf"^engine=ray: node \S+ {text.replace('1.0', '.+')}, this machine 1.0; install the same"):
            compare({**here(), key: "1.0"})
    with pytest.raises(ConfigError, match=r"has no mine, this machine 1\.0; install"):
        compare({**here(), "plugins": {"mine": "1.0"}})
    other = {**about["platform"], "cpu_capability": "older"}
    both = merged([about["platform"], other, about["platform"]])
    assert both == {**about["platform"], "cpu_capability": " and ".join(sorted([about["platform"]["cpu_capability"], "older"]))}


@needs_ray
@pytest.mark.parametrize(("cpus", "gpus", "has", "slots"), [
    (1, 0, {"CPU": 4.0}, 4), (3, 0, {"CPU": 8.0, "GPU": 1.0}, 2), (1, 1, {"CPU": 4.0}, 0), (1, 0.1, {"CPU": 16.0, "GPU": 1.0}, 10),
    (2, 0.5, {"CPU": 16.0, "GPU": 3.0}, 6), (1, 0, {}, 0),
])  # fmt: skip
def test_tasks_that_a_node_takes(cpus: int, gpus: float, has: dict[str, float], slots: int) -> None:
    """As many as it has cores, and GPUs, for."""
    from digitcmp.experiment.executors.cluster import fitting

    assert fitting(has, compose_config(f"ray.cpus={cpus}", f"ray.gpus={gpus}").ray) == slots


@needs_ray
def test_signs_of_life(monkeypatch: pytest.MonkeyPatch) -> None:
    """A task whose epoch takes long gives one, with the number of its process; what comes next is not kept waiting by it."""
    from digitcmp.experiment.executors import node

    monkeypatch.setattr(node, "BEAT", 0.2)
    messages = SimpleQueue[node.Message | BaseException]()
    assert node.gathered(messages, 0.0) == [node.Beat(os.getpid())]
    messages.put("something")
    assert node.gathered(messages, 0.0) == ["something"]


def test_ray_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The extra is named."""
    for name in [
        name for name in sys.modules if name in ("ray", "digitcmp.experiment.executors.ray", "digitcmp.experiment.executors.cluster")
    ]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ConfigError, match=r"Ray is not installed here; install it: pip install 'digitcmp\[ray\]'"):
        make_executor(compose_config("engine=ray"), 1, lambda _: None)
