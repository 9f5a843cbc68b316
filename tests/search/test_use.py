"""The commands that a search of code and YAML of one's own gives are run as they stand, where it was started."""

import json
import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from digitcmp.config.allowed import ALLOWED
from digitcmp.experiment.about import read_about
from tests.conftest import Ended

FILE = """
from dataclasses import dataclass
import torch
from digitcmp.config.registry import Component
from digitcmp.config.schema import OptimizerConfig, key

@dataclass
class Keys(OptimizerConfig):
    algorithm: str = key("plain", help="what it is")
    lr: float = key(0.1, help="learning rate")

class Plain(torch.optim.SGD):
    pass

optimizers = {"plain": Component(Plain, Keys)}
"""
SIZES = ["epochs=1", "batch_size=20", "data.train_pairs=60", "data.val_pairs=20", "data.test_pairs=20", "engine=serial", "report=false"]
SEARCH = ["--multirun", "hydra/sweeper=digitcmp_optuna", "hydra.sweeper.n_trials=1", "hydra.sweeper.pruner=none", *SIZES]
SPACE = ["optimizer=plain", "optimizer.lr=0.01,0.1"]
Cli = Callable[..., Ended]
LAYOUTS = {
    "a folder": ("my", "out", ["--config-dir", "my", "--allow-code", "my/plugins.py", "model=slim"]),
    "its name has blanks": ("my own", "runs of/out", ["--config-dir=my own", "--allow-code=my own/plugins.py", "model=slim"]),
    "here": (".", "out", ["--config-dir", ".", "--allow-code", "plugins.py", "model=slim"]),
    "the code alone": ("my", "out", ["--allow-code", "my/plugins.py", "model=net2"]),
    "a path": ("my", "out", ["--allow-code", "my/plugins.py", "hydra.searchpath=[my]", "model=slim"]),
    "both": ("my", "out", ["--config-dir", "my", "--allow-code", "my/plugins.py", "hydra.searchpath=[more]", "model=thin"]),
}


@pytest.fixture
def as_typed(run_cli: Cli, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Run a command as a new shell would, in which no code was let in."""

    def run(*arguments: str) -> Ended:
        monkeypatch.setenv(ALLOWED, "")
        return run_cli(*arguments)

    return run


def write_own(folder: str) -> None:
    """Code and networks of one's own."""
    for place, name in ((Path(folder), "slim"), (Path("more"), "thin")):
        (place / "model").mkdir(parents=True)
        (place / "model" / f"{name}.yaml").write_text(f"defaults: [net2, _self_]\nname: {name}\n")
    Path(folder, "plugins.py").write_text(FILE)


def words(command: str) -> list[str]:
    """The arguments of a command."""
    return shlex.split(command.removeprefix("python -m digitcmp "))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_what_a_search_says(as_typed: Cli, layout: str) -> None:
    """The commands of search.md and best.yaml: of the search itself, and of the best configuration where it is, and copied."""
    folder, out, given = LAYOUTS[layout]
    write_own(folder)
    ended = as_typed(*given, *SEARCH, *SPACE, f"hydra.sweep.dir='{out}'")
    assert ended.code == 0, ended.err
    best, page = Path(out, "best.yaml").read_text(), Path(out, "summary/search.md").read_text()
    (command,) = re.findall(r"^python -m digitcmp .*$", page, re.MULTILINE)
    (made,) = re.findall(r"^# Made by: (.*)$", best, re.MULTILINE)
    for again in (command, made):
        ended = as_typed(*words(again))
        assert ended.code == 0, ended.err

    (place, copied, used) = re.findall(r"^# Use: copy it to (.*?), then (.*); or (.*)$", best, re.MULTILINE)[0]
    ended = as_typed(*shlex.split(used), "hydra.run.dir=used", "save_model=false")
    assert ended.code == 0, ended.err
    about = read_about(Path("used"))
    assert about["configuration"]["optimizer"]["algorithm"] == "plain"
    ended = as_typed(*words(about["command"]))
    assert ended.code == 0, ended.err
    if not place.startswith("conf/"):
        Path(place).parent.mkdir(parents=True)
        shutil.copy(f"{out}/best.yaml", Path(place).with_stem("found"))
        ended = as_typed(*shlex.split(copied.replace("NAME", "found")), "hydra.run.dir=copied", "save_model=false")
        assert ended.code == 0, ended.err
        assert read_about(Path("copied"))["configuration_hash"] == about["configuration_hash"]


def test_code_of_somebody_else_beside_the_search(as_typed: Cli) -> None:
    """Is not let in for the sake of best.yaml."""
    Path("plugins.py").write_text("raise SystemExit('this is not for you')\n")
    ended = as_typed(*SEARCH, "model=net2", "optimizer=sgd", "optimizer.lr=0.01,0.1", "hydra.sweep.dir=out")
    assert ended.code == 0, ended.err
    used = Path("out/best.yaml").read_text().partition("; or ")[2].partition("\n")[0]
    assert "--allow-code" not in used
    ended = as_typed(*shlex.split(used), "--cfg", "job")
    assert ended.code == 0, ended.err


def test_what_a_preview_says(as_typed: Cli) -> None:
    """The command of the whole lets the code in, too."""
    write_own("my")
    ended = as_typed(*LAYOUTS["a folder"][2], *SEARCH, *SPACE, "hydra.sweep.dir=out", "preview=true")
    assert ended.code == 0, ended.err
    whole = json.loads(Path("out-preview/preview.json").read_text())["command"]
    ended = as_typed(*words(whole), "dry_run=true")
    assert ended.code == 0, ended.err
