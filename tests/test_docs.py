"""What the documents say is true: commands compose, folders exist, the example network trains."""

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import ROOT, Ended, compose_tree

README = (ROOT / "README.md").read_text()
HELP = (ROOT / "conf" / "hydra" / "help" / "digitcmp.yaml").read_text()
COMMAND = re.compile(r"^\s*(?:\w+=\S+ )?python -m digitcmp(?![.\w]) ?(.*?)(?:  .*)?$", re.MULTILINE)
COMMANDS = sorted({found.strip() for text in (README, HELP) for found in COMMAND.findall(text)})


def test_commands_are_found() -> None:
    """The pattern sees the commands of both documents."""
    assert "model=wsn aux_weight=0.5" in COMMANDS
    assert len(COMMANDS) >= 9


@pytest.mark.parametrize("command", [command for command in COMMANDS if not re.search(r"--(multirun|cfg|help)|\[GROUP", command)])
def test_single_commands_compose(command: str) -> None:
    """Every command for a single run composes."""
    compose_tree(*shlex.split(command))


def test_set_up_is_two_commands() -> None:
    """Continuous integration runs the two lines that begin like this; the second one tests."""
    lines = re.findall(r"^(?:python3 -m venv|\.venv/bin/pip install) .*$", README, re.MULTILINE)
    assert len(lines) == 2
    assert lines[0].endswith("python -m digitcmp")
    assert lines[1].endswith("python -m pytest")


def test_tree_and_links_exist() -> None:
    """Every path of the tree and every relative link is there."""
    tree = README.split("## The house")[1].split("```")[1]
    folder = ""
    for line in filter(str.strip, tree.splitlines()):
        name = line.split()[0]
        folder = name if not line.startswith(" ") else folder
        assert (ROOT / (name if not line.startswith(" ") else folder + name)).exists(), line
    for page in [ROOT / "README.md", *ROOT.glob("docs/**/*.md"), ROOT / "CONTRIBUTING.md", ROOT / "outputs" / "README.md"]:
        for link in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text()):
            assert (page.parent / link).exists(), f"{page.name}: {link}"


def test_example_network_trains(tmp_path: Path, run_cli: Callable[..., Ended]) -> None:
    """The README's network works as it stands, from a folder of the user's own."""
    example = README.split("`my_conf/model/mynet.yaml`")[1].split("```yaml\n")[1].split("```")[0]
    folder = tmp_path / "my_conf" / "model"
    folder.mkdir(parents=True)
    (folder / "mynet.yaml").write_text(example)
    options = ["--config-dir", "my_conf", "model=mynet", "model.batchnorm=true", "model.dropout=0.2", "aux_weight=1"]
    ended = run_cli(*options, "epochs=1", "data.train_pairs=100", "data.test_pairs=100")
    assert ended.code == 0, ended.err
    assert "mynet, " in ended.out
    assert "mynet" in run_cli("--config-dir", "my_conf", "--help").out
