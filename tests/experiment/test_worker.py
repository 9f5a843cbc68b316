"""A worker process, and the pipe to whoever started it."""

import socket
import subprocess
import sys
from multiprocessing.connection import Connection

import pytest

from digitcmp.experiment.executors.base import Task
from digitcmp.experiment.executors.worker import Assignment
from tests.conftest import ROOT, compose_config

SERVE = """
import os, sys
from multiprocessing.connection import Connection
from digitcmp.experiment.executors import worker
worker.end_with_parent = lambda _: None  # which would end it in the middle of what it says
worker.serve(Connection(int(sys.argv[1])), "cpu", 0.05)
"""


@pytest.mark.parametrize("unread", [False, True], ids=["all read", "something unread"])
@pytest.mark.parametrize("epochs", [1, 100_000], ids=["waiting", "at work"])
def test_a_worker_whose_pipe_is_closed_ends_without_a_word(unread: bool, epochs: int) -> None:
    """While it waits, and in the middle of a round. What it sent and nobody read makes an error of the system of it, rather than an end."""
    ours, theirs = socket.socketpair()
    command = [sys.executable, "-c", SERVE, str(theirs.fileno())]
    worker = subprocess.Popen(command, cwd=ROOT, pass_fds=[theirs.fileno()], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    theirs.close()
    with Connection(ours.detach()) as connection:
        config = compose_config(f"epochs={epochs}", "batch_size=25", "data.train_pairs=50", "data.test_pairs=40")
        connection.send(Assignment(1, Task(config, (1,))))
        while not isinstance(connection.recv(), tuple if epochs > 1 else list):
            pass
        if unread:
            connection.send(Assignment(2, Task(config, (2,))))
            assert connection.poll(100)
    assert worker.communicate(timeout=100) == ("", "")
    assert worker.returncode == 0
