"""What was there when rounds were trained: on record, and enough to have the code again."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from digitcmp.experiment import provenance, surroundings
from digitcmp.experiment.run import Run
from tests.conftest import compose_config


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A checkout with changes that are in no commit, as that which holds the package."""
    top = tmp_path / "checkout"
    top.mkdir()
    (top / "code.py").write_text("rate = 0.1\n")
    (top / "gone.py").write_text("gone\n")
    (top / "bytes.bin").write_bytes(bytes(range(256)))
    for arguments in (["init", "-q"], ["add", "."], ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "one"]):
        subprocess.run(["git", "-C", str(top), *arguments], check=True)
    (top / "code.py").write_text("rate = 0.2  # \xe9\r\n", encoding="utf-8")
    (top / "gone.py").unlink()
    (top / "bytes.bin").write_bytes(bytes(range(255, -1, -1)))
    for module in (provenance, surroundings):
        monkeypatch.setattr(module, "TOP", top)
    caches = (provenance.versions, surroundings.surroundings, surroundings.uncommitted)
    for one in caches:
        one.cache_clear()
    yield top
    for one in caches:
        one.cache_clear()


def test_changes(checkout: Path, tmp_path: Path) -> None:
    """The commit and the file beside run.json give the code again, to the last byte."""
    run = Run(compose_config("tags=[a]"), tmp_path / "a", "test")
    run.begin("serial", 1, "cpu")
    about = json.loads((tmp_path / "a" / "run.json").read_text())
    (name,) = about["changes"]
    assert about["git_dirty"]
    subprocess.run(["git", "clone", "-q", str(checkout), str(tmp_path / "again")], check=True)
    subprocess.run(["git", "-C", str(tmp_path / "again"), "checkout", "-q", about["git_commit"]], check=True)
    subprocess.run(["git", "-C", str(tmp_path / "again"), "apply", str(tmp_path / "a" / name)], check=True)
    for top in (checkout, tmp_path / "again"):
        shutil.rmtree(top / ".git")
    assert {path.name: path.read_bytes() for path in checkout.iterdir()} == {
        path.name: path.read_bytes() for path in (tmp_path / "again").iterdir()
    }


@pytest.mark.usefixtures("checkout")
def test_large_changes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Are not kept, and that is said."""
    monkeypatch.setattr(surroundings, "LARGEST", 10)
    run = Run(compose_config(), tmp_path / "a", "test")
    run.begin("serial", 1, "cpu")
    assert not list((tmp_path / "a").glob("*.diff"))
    (text,) = json.loads((tmp_path / "a" / "run.json").read_text())["changes"]
    assert text.startswith("not kept: ")


def test_what_is_on_record(tmp_path: Path) -> None:
    """Host, processors and distributions; hosts and tags of several commands come together."""
    run = Run(compose_config("tags=[a,b]"), tmp_path / "a", "test")
    run.begin("serial", 1, "cpu")
    path = tmp_path / "a" / "run.json"
    about = json.loads(path.read_text())
    assert about["hosts"]
    assert about["hardware"]["cpu"]
    assert about["hardware"]["cores"] >= 1
    assert {"torch", "hydra-core"} <= set(about["packages"])
    path.write_text(json.dumps({**about, "hosts": ["elsewhere"]}))
    Run(compose_config("tags=[b,c]", "rounds=2"), tmp_path / "a", "test").begin("serial", 1, "cpu")
    again = json.loads(path.read_text())
    assert again["hosts"] == ["elsewhere", *about["hosts"]]
    assert again["tags"] == ["a", "b", "c"]


def test_driver() -> None:
    """Its version, or what it says of itself."""
    text = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  570.86.15  Release Build\nGCC version: 12"
    assert surroundings.driver_version(text) == "570.86.15"
    assert surroundings.driver_version("NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.104  Sat") == "535.104"
    assert surroundings.driver_version("other") == "other"


def test_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Away from a checkout, what the wheel was built from; nothing where that is not known."""
    monkeypatch.setattr(provenance, "TOP", tmp_path)
    monkeypatch.setattr(provenance, "BUILT", tmp_path / "built.json")
    assert provenance.checkout() == {}
    (tmp_path / "built.json").write_text('{"git_commit": "abc", "git_dirty": false}')
    assert provenance.checkout() == {"git_commit": "abc", "git_dirty": False}
    (tmp_path / "built.json").write_text("{")
    assert provenance.checkout() == {}
