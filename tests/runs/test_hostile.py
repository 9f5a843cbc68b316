"""What other programs, full disks and people leave in the small files of a run: status shows the rest, whatever stands in them."""

import io
import json
import os
from collections.abc import Iterator
from contextlib import suppress
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from digitcmp.auto import plan_file
from digitcmp.errors import RunError
from digitcmp.experiment import beats, planned
from digitcmp.runs.status import read_status
from digitcmp.runs.status_view import as_json, render
from digitcmp.system import host_id, start_time
from digitcmp.train import progress
from digitcmp.train.saved import pack
from tests.report.made import write_run

NASTY: list[Any] = [
    None,
    True,
    -1,
    1.5,
    10**30,
    float("inf"),
    float("nan"),
    "x",
    "\u202e\x1b[2J\n",
    [],
    [[]],
    [[0, 10**12], [10**12, 0]],
    {},
    {"a": {}},
]
PLAN = {"rounds": 4, "epochs": 2, "runs": {"a": {"seeds": [[0, 3]], "epochs": 2}, "b": {"seeds": [[0, 3], [5, 5]], "epochs": 2}}}
ABOUT = {"id": "a", "host": host_id(), "node": "n", "process": os.getpid(), "start_time": start_time(os.getpid()), "lease": 60.0}
BEAT = {**ABOUT, "epochs": 3, "seconds": 2.0, "rounds": {"7": 1}, "slow": {"7": "2026-01-01T00:00+00:00"}}
AUTO = {"runs": [{"run": "a", "configuration_hash": "b"}], "seed": 0, "auto": {"margin": 0.5}, "level_of_each_interval": 0.95}


def spoilt(whole: Any) -> Iterator[str]:
    """The text of a file with each of its values in turn replaced by something else."""
    for path in places(whole):
        for nasty in NASTY:
            tree: Any = [deepcopy(whole)]
            node: Any = tree
            for key in (0, *path)[:-1]:
                node = node[key]
            node[(0, *path)[-1]] = nasty
            yield json.dumps(tree[0])


def places(node: Any) -> Iterator[tuple[Any, ...]]:
    """The paths of all values of a tree."""
    yield ()
    for key, value in node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ():
        yield from ((key, *path) for path in places(value))


@pytest.mark.parametrize(("where", "whole"), [(planned.FILE, PLAN), (f"a/records/x{beats.SUFFIX}", BEAT)], ids=["planned", "heartbeat"])
def test_status_shows_a_folder_whatever_is_in_its_files(tmp_path: Path, where: str, whole: Any) -> None:
    """Its run is there, with its rounds."""
    write_run(tmp_path / "a", {0: 0.8, 1: 0.8}, seeds=[0, 1])
    (tmp_path / where).parent.mkdir(exist_ok=True)
    for text in spoilt(whole):
        (tmp_path / where).write_text(text)
        status = read_status(tmp_path)
        assert any(run.done == 2 for run in status.runs), text
        json.loads(as_json(status))
        Console(file=io.StringIO()).print(render(status))


def test_a_spoilt_plan_of_rounds_auto_is_refused(tmp_path: Path) -> None:
    """As one that is none, or it is one."""
    for text in spoilt(AUTO):
        (tmp_path / "plan.json").write_text(text)
        with suppress(RunError):
            plan_file.read(tmp_path / "plan.json")


@pytest.mark.parametrize("member", ["-5", "999999999999", "x", "1"])
def test_a_checkpoint_of_members_that_it_has_not_is_damaged(member: str) -> None:
    """And takes no memory for them."""
    import torch

    about = {"seed": 0, "epoch": 1, "stack": [0], "rows": [], "error": "", "ended": False, "seconds": 0.0}
    with pytest.raises(ValueError, match=r"ValueError|IndexError"):
        progress.read(pack({f"{member}/weight": torch.zeros(1)}, json.dumps(about)))
