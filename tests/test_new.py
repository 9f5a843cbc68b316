"""`python -m digitcmp.new`: files to start from, each of which is a choice at once; nothing is overwritten."""

import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from digitcmp.new import cli
from tests.conftest import ROOT, Ended

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


@pytest.mark.parametrize("folder", ["my conf", 'q"""x\'', "b\\N", "$HOME;x", "NAME FOLDER", "~"])
@pytest.mark.parametrize("kind", ["model", "augment", "data", "plugins"])
def test_what_is_printed_is_a_command(kind: str, folder: str, run_main: Cli, run_cli: Cli) -> None:
    """Whatever the folder is called, it can be typed as it is, stands in the file too, and is taken."""
    made = run_main(cli.main, kind, *(["FOLDER"] if kind != "plugins" else []), "--in", folder)
    assert made.code == 0, made.err
    (said,) = [line.removeprefix("try").strip() for line in made.out.splitlines() if line.startswith("try")]
    (path,) = [path for path in Path(folder).rglob("*") if path.suffix in (".py", ".yaml")]
    assert [line.strip("# ") for line in path.read_text().splitlines()].count(said) == 1
    if path.suffix == ".py":
        compile(path.read_text(), path, "exec")
    program, dash, module, *arguments = shlex.split(said)
    assert (program, dash, module) == ("python", "-m", "digitcmp")
    ended = run_cli(*arguments, "--cfg", "job")
    assert ended.code == 0, ended.err
    assert {"model": "aux_weight: 1", "plugins": "kind: scaled"}.get(kind, "") in ended.out


def test_the_page_has_the_command_of_the_plugins(run_main: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As it is printed."""
    monkeypatch.chdir(tmp_path)
    said = run_main(cli.main, "plugins").out.split("try", 1)[1].strip()
    assert said in (ROOT / "docs" / "adding.md").read_text().splitlines()


WRONG = {
    ("model",): "model: give it a name, as in model mine",
    ("plugins", "mine"): "plugins mine: it is plugins.py; leave mine out",
    ("model", "a b"): "model a b: a choice's name has letters (a to z), digits and _ alone, a letter first",
    ("model", "net1"): "model net1: digitcmp has one of this name, which would be taken; choose another name",
    ("model", "../up"): "model ../up: a choice's name has letters (a to z), digits and _ alone, a letter first",
    ("model", "é"): "model é: a choice's name has letters (a to z), digits and _ alone, a letter first",
    **{("model", word): f"model {word}: this word is a value, and names no choice" for word in ("true", "FALSE", "null", "nan", "Inf")},
    ("model", "on"): "model on: this word is a value, and names no choice",
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
