"""Commit plus diff reproduces epochs.csv: a run of a dirty checkout, trained again by a clean clone with the changes that the run kept."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT, compose_config
from tests.experiment.made import train_run, without_seconds

TINY = ["model=net1", "epochs=2", "batch_size=20", "data.train_pairs=60", "data.test_pairs=60", "engine=serial"]
WHOLE = [*TINY, "hydra.run.dir=r"]


def git(top: Path, *arguments: str) -> str:
    """What git prints."""
    own = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
    return subprocess.run(["git", *own, "-C", str(top), *arguments], check=True, capture_output=True, text=True).stdout.strip()


def trained_by(top: Path, away: Path) -> Path:
    """The folder of a run that the package of a checkout has trained, in a folder of its own."""
    away.mkdir()
    environment = {**os.environ, "PYTHONPATH": str(top), "PYTHONDONTWRITEBYTECODE": "1"}
    subprocess.run([sys.executable, "-m", "digitcmp", *WHOLE], cwd=away, env=environment, check=True, capture_output=True, timeout=240)
    return away / "r"


def test_commit_and_changes_reproduce_a_run(tmp_path: Path) -> None:
    """Equal rows, which the commit alone does not give; a changed module and a changed YAML file are both among the changes."""
    dirty, clean = tmp_path / "dirty", tmp_path / "clean"
    for folder in ("digitcmp", "conf", "sweeps"):
        shutil.copytree(ROOT / folder, dirty / folder, ignore=shutil.ignore_patterns("__pycache__"))
    git(tmp_path, "init", "-q", str(dirty))
    git(dirty, "add", "--all", "--force")
    git(dirty, "commit", "-qm", "one")
    for name, before, after in (
        ("digitcmp/seeding.py", "WEIGHTS = 1\n", "WEIGHTS = 11\n"),
        ("conf/optimizer/adam.yaml", "lr: 0.001", "lr: 0.002"),
    ):
        text = (dirty / name).read_text()
        assert before in text
        (dirty / name).write_text(text.replace(before, after))
    first = trained_by(dirty, tmp_path / "first")
    about = json.loads((first / "run.json").read_text())
    assert (about["git_commit"], about["git_dirty"]) == (git(dirty, "rev-parse", "HEAD"), True)
    (changes,) = about["changes"]
    git(tmp_path, "clone", "-q", str(dirty), str(clean))
    git(clean, "checkout", "-q", about["git_commit"])
    git(clean, "apply", str(first / changes))
    again = trained_by(clean, tmp_path / "again")
    assert without_seconds(again / "epochs.csv") == without_seconds(first / "epochs.csv")
    commit_alone = train_run(compose_config(*TINY), tmp_path / "commit")
    assert without_seconds(commit_alone.directory / "epochs.csv") != without_seconds(first / "epochs.csv")
