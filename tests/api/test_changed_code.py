"""Code of one's own that is changed between two calls in one process, as in a notebook: what is trained is what stands in the file."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import digitcmp
from digitcmp.config import offered
from digitcmp.config.allowed import ALLOWED, BEGUN_WITH, let_in
from digitcmp.errors import ConfigError

FILE = """
import torch
from dataclasses import dataclass
from digitcmp.config.registry import Component
from digitcmp.config.schema import OptimizerConfig, key
from .factors import FACTOR
import {module} as elsewhere

@dataclass
class Keys(OptimizerConfig):
    algorithm: str = key("mine", help="x")
    lr: float = key({lr}, help="x", above=0)

class Mine(torch.optim.SGD):
    def step(self, closure=None):
        for group in self.param_groups:
            for one in group["params"]:
                if one.grad is not None:
                    one.grad.mul_({factor} * FACTOR * elsewhere.FACTOR)
        return super().step(closure)

optimizers = {{"mine": Component(Mine, Keys)}}
"""
SIZES = [
    "optimizer=mine",
    "data=digits",
    "epochs=2",
    "data.train_pairs=40",
    "data.test_pairs=20",
    "batch_size=10",
    "rounds=2",
    "report=false",
]


class Lab:
    """A folder with code. module: what it imports from elsewhere."""

    def __init__(self, top: Path, module: str) -> None:
        self.top, self.module, self.count = top, module, 0
        self.write()

    def write(self, lr: float = 0.05, factor: float = 1.0, beside: float = 1.0, elsewhere: float = 1.0, name: str = "my") -> None:
        """What it consists of."""
        (self.top / name).mkdir(exist_ok=True)
        (self.top / name / "plugins.py").write_text(FILE.format(lr=lr, factor=factor, module=self.module))
        (self.top / name / "factors.py").write_text(f"FACTOR = {beside}\n")
        (self.top / f"{self.module}.py").write_text(f"FACTOR = {elsewhere}\n")

    def run(self, engine: str = "serial", name: str = "my") -> tuple[float, list[float], str]:
        """The learning rate, the losses, and which code is on record."""
        self.count += 1
        given = ["--allow-code", f"{name}/plugins.py", *SIZES, f"engine={engine}", *(["workers=2"] if engine == "processes" else [])]
        found = digitcmp.run(given, folder=f"run{self.count}", progress=False)
        about: dict[str, Any] = json.loads((self.top / f"run{self.count}" / "run.json").read_text())
        (version,) = about["plugins"].values()
        return about["configuration"]["optimizer"]["lr"], found.epochs["train_loss"].tolist(), version


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """In the working folder, which modules may come from."""
    monkeypatch.setenv(ALLOWED, "")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    module = f"elsewhere_{tmp_path.parent.name[-4:]}_{tmp_path.name[-8:]}".replace("-", "_")
    monkeypatch.setitem(sys.modules, module, None)  # and away with it behind the test
    del sys.modules[module]
    return Lab(tmp_path, module)


@pytest.mark.parametrize("engine", ["serial", "processes"])
def test_what_stands_in_the_file_is_trained(engine: str, lab: Lab) -> None:
    """Itself, what is beside it, and the keys that it has; unchanged, nothing is imported again."""
    first = lab.run(engine)
    module = sys.modules["digitcmp.own.plugins"]
    assert lab.run(engine) == first
    assert sys.modules["digitcmp.own.plugins"] is module
    found = [first]
    for change in ({"factor": 5.0}, {"factor": 5.0, "lr": 0.3}, {"factor": 5.0, "lr": 0.3, "beside": 0.01}):
        lab.write(**change)  # type: ignore[arg-type]
        found.append(lab.run(engine))
    assert [lr for lr, _, _ in found] == [0.05, 0.05, 0.3, 0.3]
    assert len({str(losses) for _, losses, _ in found}) == len({version for _, _, version in found}) == 4
    lab.write()
    assert lab.run(engine) == first


def test_what_python_has_once_is_refused(lab: Lab) -> None:
    """A module from elsewhere, which others may have imported, too."""
    first = lab.run()
    lab.write(elsewhere=3.0)
    with pytest.raises(ConfigError, match=rf"my/plugins\.py: {lab.module}, which it imports, has been changed since this process"):
        lab.run()
    lab.write()
    assert lab.run() == first


@pytest.mark.parametrize("name", ["other", "my/other"])
def test_two_folders_have_modules_of_one_name(name: str, lab: Lab) -> None:
    """Each takes what is beside itself, also where one lies in the other."""
    lab.write(beside=4.0, name=name)
    one, other = lab.run(), lab.run(name=name)
    assert one[1] != other[1]
    assert lab.run() == one


def test_two_files_at_once_have_what_is_beside_them(lab: Lab) -> None:
    """Where it has one name, one of them would have that of the other."""
    lab.write(beside=4.0, name="other")
    (lab.top / "other" / "plugins.py").rename(lab.top / "other" / "more.py")
    with pytest.raises(ConfigError, match=r"more\.py: it imports factors, for which Python takes .*my/factors\.py, beside another"):
        digitcmp.run(["--allow-code", "my/plugins.py", "--allow-code", "other/more.py", *SIZES], folder="run", progress=False)


def test_a_file_may_import_another_one_that_is_let_in(lab: Lab) -> None:
    """Of another folder, where nothing of its name is beside itself."""
    (lab.top / "common").mkdir()
    (lab.top / "common" / "shared.py").write_text("SHARED = 1.0\n")
    file = lab.top / "my" / "plugins.py"
    file.write_text("from .shared import SHARED\n" + file.read_text())
    given = ["--allow-code", "common/shared.py", "--allow-code", "my/plugins.py", *SIZES, "engine=serial"]
    assert len(digitcmp.run(given, folder="run", progress=False).rounds) == 2


def test_a_process_of_a_command_has_the_code_that_it_began_with(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that comes later, say, when the file has been changed; a command that begins then takes it as it is."""
    monkeypatch.setenv(ALLOWED, str(lab.top / "my" / "plugins.py"))
    monkeypatch.delenv(BEGUN_WITH, raising=False)
    offered.read.cache_clear()
    assert "mine" in offered.offers()["optimizers"]
    assert BEGUN_WITH not in os.environ  # this is no command
    let_in([])
    offered.read.cache_clear()
    assert "mine" in offered.offers()["optimizers"]
    begun = os.environ[BEGUN_WITH]
    lab.write(factor=2.0)
    later = [sys.executable, "-c", "from digitcmp.config.offered import offers; print('mine' in offers()['optimizers'])"]
    ended = subprocess.run(later, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert "my/plugins.py has been changed since the command began" in ended.stderr
    assert begun.rsplit("=", 1)[1] in ended.stderr
    later[-1] = "from digitcmp.config.allowed import let_in; let_in([]); " + later[-1]
    assert subprocess.run(later, capture_output=True, text=True, check=True).stdout == "True\n"
