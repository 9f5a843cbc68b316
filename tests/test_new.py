"""`python -m digitcmp.new`: files to start from, each of which is a choice at once; nothing is overwritten."""

from collections.abc import Callable
from pathlib import Path

import pytest

from digitcmp.new import cli
from tests.conftest import Ended

Cli = Callable[..., Ended]
TINY = ("epochs=1", "data.train_pairs=40", "data.test_pairs=40", "batch_size=20", "engine=serial", "hydra.run.dir=run")


@pytest.mark.parametrize("kind", ["model", "augment", "data"])
def test_a_choice_of_ones_own(kind: str, run_main: Cli, run_cli: Cli) -> None:
    """Written with comments, named by what comes next, explained in the help, and trained."""
    made = run_main(cli.main, kind, "mine")
    assert made.code == 0
    assert f"python -m digitcmp --config-dir my_conf {kind}=mine" in made.out
    text = Path(f"my_conf/{kind}/mine.yaml").read_text()
    assert text.startswith("# ")
    assert not {"NAME", "FOLDER"} & set(text.replace("=", " ").replace("/", " ").split())
    assert "of my own" in next(line for line in run_cli("--config-dir", "my_conf", "--help-choices").out.splitlines() if "  mine " in line)
    ended = run_cli("--config-dir", "my_conf", f"{kind}=mine", "data.train_pairs=40", *TINY)
    assert ended.code == 0, ended.err


WRONG = {
    ("model",): "model: give it a name, as in model mine",
    ("plugins", "mine"): "plugins mine: it is plugins.py; leave mine out",
    ("model", "a b"): "model a b: a choice's name has letters, digits and _ alone, a letter first",
    ("model", "net1"): "model net1: digitcmp has one of this name, which would be taken; choose another name",
    ("model", "../up"): "model ../up: a choice's name has letters, digits and _ alone, a letter first",
}


@pytest.mark.parametrize("arguments", WRONG, ids=" ".join)
def test_a_wrong_name_is_one_line(arguments: tuple[str, ...], run_main: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And nothing is written."""
    monkeypatch.chdir(tmp_path)
    ended = run_main(cli.main, *arguments)
    assert (ended.code, ended.out, ended.err.count("\n")) == (1, "", 1)
    assert ended.err.startswith(f"digitcmp: {WRONG[arguments]}")
    assert not list(tmp_path.iterdir())


def test_nothing_is_overwritten(run_main: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line says so; the file stays, and so does a link that leads nowhere."""
    monkeypatch.chdir(tmp_path)
    path = Path("conf/model/mine.yaml")
    path.parent.mkdir(parents=True)
    path.write_text("name: mine\n")
    path.with_name("link.yaml").symlink_to("nowhere")
    for name in ("mine", "link"):
        ended = run_main(cli.main, "model", name, "--in", "conf")
        assert (ended.code, ended.out) == (1, "")
        there = f"conf/model/{name}.yaml: there is such a file, which stays as it is; choose another name, or another folder with --in"
        assert ended.err == f"digitcmp: {there}\n"
    assert path.read_text() == "name: mine\n"
