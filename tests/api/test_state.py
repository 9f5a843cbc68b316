"""A call leaves the process as it was: in a test, in a script without a main guard, whatever it has to do."""

import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra

import digitcmp
import digitcmp.api.command  # what it imports changes the filters of warnings
from digitcmp.errors import ConfigError
from tests.api.state import changed, state
from tests.conftest import CONF, ROOT

TINY = ["epochs=1", "batch_size=20", "data.train_pairs=40", "data.test_pairs=40"]
SCRIPT = """
import sys
sys.path.insert(0, {root!r})
from tests.api.state import changed, state
import digitcmp
asked = {{"model": ["net1", "net2"], "rounds": 2, "engine": "processes", "workers": 2, "epochs": 1, "batch_size": 20}}
asked |= {{"data": {{"train_pairs": 40, "test_pairs": 40}}}}
fresh = state()
first = digitcmp.sweep(asked, "s", progress=False)
loaded = state()
again = digitcmp.sweep(asked, "s", progress=False)
assert first.rounds.equals(again.rounds) and len(again.rounds) == 4, again.rounds
assert len(digitcmp.sweep({{**asked, "rounds": 3}}, "s", progress=False).rounds) == 6
print(sorted(set(changed(fresh, loaded)) - {{"warnings", "random"}}), changed(loaded, state()))  # those are of imports
"""


@pytest.fixture
def log(tmp_path: Path) -> Iterator[logging.Handler]:
    """A program's own log, which a second `open` would empty."""
    handler = logging.FileHandler(tmp_path / "own.log", mode="w")
    logging.getLogger().addHandler(handler)
    yield handler
    logging.getLogger().removeHandler(handler)
    handler.close()


@pytest.mark.usefixtures("log")
def test_nothing_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a run, a sweep and a mistake, also in the midst of a program that uses Hydra itself; the program's log goes on."""
    monkeypatch.chdir(tmp_path)
    torch.set_num_threads(2)
    try:
        logging.getLogger().warning("one")
        with initialize_config_dir(str(CONF)):
            own = GlobalHydra.instance().hydra
            before = state()
            digitcmp.run(["model=net1", "engine=serial", "callbacks.x=null", *TINY], "r", progress=False)
            digitcmp.sweep(
                {"model": ["net1"], "seed": [0, 1]} | dict(one.split("=") for one in [*TINY, "engine=serial"]), "s", progress=False
            )
            with pytest.raises(ConfigError):
                digitcmp.run({"epochs": -1})
            assert changed(before, state()) == {}
            assert GlobalHydra.instance().hydra is own
        logging.getLogger().warning("two")
        assert (tmp_path / "own.log").read_text().split() == ["one", "two"]
    finally:
        torch.set_num_threads(1)


def test_a_script(tmp_path: Path) -> None:
    """Without `if __name__ == "__main__"`, with worker processes, from a first import of everything."""
    (tmp_path / "script.py").write_text(SCRIPT.format(root=str(ROOT)))
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    ended = subprocess.run([sys.executable, "script.py"], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=240)
    assert (ended.returncode, ended.stdout.strip()) == (0, "[] {}"), ended.stdout + ended.stderr
