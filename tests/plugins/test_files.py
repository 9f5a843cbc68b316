"""Code in a file beside the user's YAML: run only where it is let in, and then in every process."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import digitcmp
from digitcmp.config import offered
from digitcmp.config.allowed import ALLOWED
from digitcmp.config.taken import OTHERWISE
from digitcmp.errors import RunError
from digitcmp.files import shipped
from digitcmp.mistakes import cli as mistakes
from digitcmp.new import cli as new
from digitcmp.predict import cli as predict
from digitcmp.report import cli as report
from digitcmp.runs import cli as runs
from digitcmp.verify import cli as verify
from tests.conftest import Ended

Cli = Callable[..., Ended]
FILE = "my_conf/plugins.py"
LET_IN = ("--config-dir", "my_conf", "--allow-code", FILE)
TINY = ("epochs=1", "data.train_pairs=40", "data.test_pairs=40", "batch_size=20", "hydra.run.dir=run")
PARTS = ("data=mirrored", "augment=dim", "augment.most=0.3", "model.tower=[{channels: 4, pool: 3}, {kind: scaled}]")


@pytest.fixture(autouse=True)
def own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The file that `digitcmp.new plugins` writes, in a folder that was never heard of."""
    monkeypatch.setenv(ALLOWED, "")
    monkeypatch.chdir(tmp_path)
    return new.make("plugins", None, Path("my_conf"))


def test_it_is_refused_unless_it_is_let_in(run_cli: Cli) -> None:
    """One line says what it is, and how; nothing of it is run, whatever is asked for."""
    Path(FILE).write_text("raise SystemExit('it was run')\n")
    for arguments in (["--help"], ["dry_run=true"], ["--allow-code", "other"]):
        ended = run_cli("--config-dir", "my_conf", *arguments)
        assert (ended.code, ended.out) == (1, "")
        assert ended.err == (
            f"digitcmp: {FILE}: code that is not digitcmp's own, offered beside these YAML files, is run only where it is let in; "
            f"add --allow-code {FILE}\n"
        )


def test_files_that_are_none(run_cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is not there, also by the environment, and one that breaks."""
    monkeypatch.setenv(ALLOWED, "gone.py")
    gone = f"{Path('gone.py').absolute()}: there is no such file; it is let in by {ALLOWED} in the environment, which is to be corrected"
    assert run_cli("--help").err.startswith(f"digitcmp: {gone}")
    monkeypatch.setenv(ALLOWED, "")
    assert run_cli("--allow-code", "gone.py", "--help").err == "digitcmp: --allow-code gone.py: there is no such file\n"
    Path(FILE).write_text("import nowhere\n")
    ended = run_cli(*LET_IN, "dry_run=true")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err == f"digitcmp: {Path(FILE).absolute()} cannot be imported (ModuleNotFoundError: No module named 'nowhere')\n"


@pytest.mark.parametrize("text", ["model=net1", "", "a/b", "a,b", "my_conf/"])
def test_what_is_neither_a_module_nor_a_file(text: str, run_cli: Cli, tmp_path: Path) -> None:
    """Such as the next word of the command, which would count for nothing."""
    ended = run_cli(f"--allow-code={text}", *TINY)
    assert (ended.code, ended.out) == (1, "")
    assert ended.err == f"digitcmp: --allow-code {text}: this is no module and no file; give package.module or FILE.py\n"
    assert not (tmp_path / "run").exists()


BROKEN = {
    "syntax": (b"def\n", "cannot be imported (SyntaxError: invalid syntax (plugins.py, line 1))"),
    "not UTF-8": (b"x = '\xff'\n", "cannot be imported (SyntaxError: (unicode error) 'utf-8' codec can't decode byte 0xff"),
    "NUL": (b"x = '\0'\n", "Error: source code string cannot contain null bytes)"),
    "exit": (b"import sys\nsys.exit()\n", "cannot be imported (SystemExit: )"),
    "exit code": (b"raise SystemExit(3)\n", "cannot be imported (SystemExit: 3)"),
    "stranger": (b"class Own(BaseException): pass\nraise Own('a\\nb\\x1b[31m')\n", "cannot be imported (Own: a)"),
    "endless": (b"def f(): f()\nf()\n", "cannot be imported (RecursionError: "),
    "module": (b"import json as data\n", "data is a module; it must be a dictionary, as in data = {'mine': Mine}"),
    "list": (b"blocks = ['scaled']\n", "blocks is a list; it must be a dictionary"),
    "number": (b"blocks = {1: print}\n", "blocks has 1, which is no name; a name has letters, digits, _, - and . alone"),
    "control": (b"augmentations = {'a\\x1b[31m\\n': print}\n", r"augmentations has 'a\x1b[31m\n', which is no name"),
    "folder": (b"import os\nos.chdir('/')\n", "changes the working folder when it is imported, and with it where results go"),
}


@pytest.mark.parametrize(("text", "told"), BROKEN.values(), ids=BROKEN)
def test_files_that_break(text: bytes, told: str, run_cli: Cli) -> None:
    """Whatever a file does when it is imported, it never ends a command as if all were done; the working folder stays."""
    Path(FILE).write_bytes(text)
    here = Path.cwd()
    ended = run_cli(*LET_IN, "dry_run=true")
    assert (ended.code, ended.err.count("\n")) == (1, 1)
    assert told in ended.err
    assert ended.err.strip().isprintable()
    assert Path.cwd() == here


def test_another_file_of_its_name(run_cli: Cli) -> None:
    """What was let in is what is run: no file that happens to lie beside another one that was let in, and no package."""
    for place in ("other", "my_conf/mine"):
        Path(place).mkdir()
    Path("other/mine.py").write_text("blocks = {}\n")
    for wrong in ("my_conf/mine.py", "my_conf/mine/__init__.py"):
        Path(wrong).write_text("raise SystemExit('it was run')\n")
        ended = run_cli("--config-dir", "my_conf", "--allow-code", FILE, "--allow-code", "other/mine.py", "dry_run=true")
        assert (ended.code, ended.err.count("\n")) == (1, 1)
        assert f"--allow-code {Path('other/mine.py').absolute()}: Python takes {Path(wrong).absolute()} for it; give the file" in ended.err


@pytest.mark.parametrize("name", ["model/net1", "config", "experiment/best", "optimizer/adam"])
def test_names_that_are_taken(name: str, run_cli: Cli) -> None:
    """A file that Hydra would leave out for ours of the same name is refused, unless it says the same."""
    Path(FILE).unlink()
    ours, own = shipped("conf") / f"{name}.yaml", Path("my_conf", f"{name}.yaml")
    own.parent.mkdir(exist_ok=True)
    own.write_bytes(ours.read_bytes())
    assert run_cli("--config-dir", "my_conf", "dry_run=true").code == 0
    own.write_bytes(ours.read_bytes() + b"# mine\n")
    ended = run_cli("--config-dir", "my_conf", "dry_run=true")
    assert (ended.code, ended.out, ended.err.count("\n")) == (1, "", 1)
    assert ended.err.startswith(f"digitcmp: {own}: digitcmp has a file of this name, which would be taken (")


def test_a_part_that_ends_the_program(run_cli: Cli) -> None:
    """Is an error: nothing that was asked for may be missing at exit code 0."""
    text = Path(FILE).read_text()
    Path(FILE).write_text(
        text.replace(
            "def initialise(self, random: torch.Generator) -> None:",
            "def initialise(self, random: torch.Generator) -> None:\n        exit()",
        )
    )
    assert "exit()" in Path(FILE).read_text()
    ended = run_cli(*LET_IN, *TINY, *PARTS, "engine=serial")
    assert ended.code == 1
    assert "a part that is not digitcmp's own has ended the program (sys.exit in initialise of my_conf/plugins.py); " in ended.err


LEAVING = """
import sys
from dataclasses import dataclass
from torch import nn
from digitcmp.config.blocks import Block, Core
from digitcmp.config.registry import Component
from digitcmp.config.schema import AugmentConfig, key

class Leaves(nn.Module):
    def __init__(self, layer, inputs): super().__init__()
    def forward(self, images): sys.exit(3)

@dataclass
class Keys(AugmentConfig):
    kind: str = key("leaving", help="ends the program")

def leave(*given): exit()

blocks = {"leaves": Block(Leaves, of="images", core=lambda layer, inputs: Core(inputs, parameters=0)),
          "measured": Block(Leaves, of="images", core=leave)}
augmentations = {"leaving": Component(leave, Keys)}
data = {"leaving": leave}
"""


@pytest.mark.parametrize(
    ("part", "where"),
    [
        (["data=leaving"], "leave"),
        (["model.tower=[{kind:measured},{channels:8}]"], "leave"),
        (["model.tower=[{kind:leaves},{channels:8}]", "engine=serial"], "forward"),
        (["augment=leaving", "engine=serial"], "leave"),
        (["augment=leaving", "engine=stacked", "rounds=2"], "leave"),
        (["augment=leaving", "engine=processes", "workers=2", "rounds=2"], "leave"),
    ],
    ids=lambda part: " ".join(part) if isinstance(part, list) else "",
)
def test_wherever_a_part_ends_the_program(part: list[str], where: str, run_cli: Cli) -> None:
    """While it is checked, built or trained with, in this process or in a worker, and whatever its exit code: an error in one line."""
    Path(FILE).write_text(LEAVING)
    ended = run_cli(*LET_IN, "epochs=1", "data=digits", "data.train_pairs=100", "data.test_pairs=100", "hydra.run.dir=run", *part)
    assert ended.code == 1
    (line,) = ended.err.splitlines()
    assert line.startswith(f"digitcmp: a part that is not digitcmp's own has ended the program (sys.exit in {where} of my_conf/plugins.py)")


def test_a_part_that_ends_another_command() -> None:
    """Draw, verify and the like build networks, too."""
    Path(FILE).write_text(LEAVING)
    command = [sys.executable, "-m", "digitcmp.draw", *LET_IN, "data=digits", "model.tower=[{kind:measured},{channels:8}]"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (1, "")
    told = "digitcmp: a part that is not digitcmp's own has ended the program (sys.exit in leave of my_conf/plugins.py)"
    assert ended.stderr.splitlines() == [told]


def test_it_trains_in_workers_and_comes_back(run_cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same command again finds its rounds; a network is given back where the file is let in, and else says what it lacks."""
    assert "my_conf/plugins.py" in run_cli(*LET_IN, "--help").out
    command = (*LET_IN, *TINY, *PARTS, "rounds=2", "engine=processes", "workers=2", "save_model=true")
    ended = run_cli(*command)
    assert ended.code == 0, ended.err
    assert list(json.loads(Path("run/run.json").read_text())["plugins"]) == [FILE]
    assert "nothing is left to do" in run_cli(*command).out or run_cli(*command).code == 0
    assert digitcmp.load_model("run").seed == 0
    monkeypatch.setenv(ALLOWED, "")
    with pytest.raises(RunError, match=rf"model\.tower\.kind=scaled: the run was made with what {FILE} .* offers.*{ALLOWED}={FILE}"):
        digitcmp.load_model("run")


def test_a_file_that_has_changed(run_cli: Cli, run_main: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch) -> None:
    """A network answers otherwise with other code: whoever asks it, or trains it again, is told so."""
    assert run_cli(*LET_IN, *TINY, *PARTS, "engine=serial", "save_model=true").code == 0
    np.savez("pairs.npz", images=np.zeros((3, 2, 14, 14), dtype="float32"))
    asking: list[tuple[Callable[[], None], str, *tuple[str, ...]]] = [(predict.main, "run", "pairs.npz"), (mistakes.main, "run")]
    monkeypatch.setenv(ALLOWED, FILE)
    for main, *arguments in asking:
        assert "warning" not in run_main(main, *arguments).err
    digitcmp.load_model("run")
    Path(FILE).write_text(f"{Path(FILE).read_text()}\n# and something else\n")
    offered.read.cache_clear()  # as in a process of its own
    offered.IMPORTED.clear()
    told = rf"{OTHERWISE}: {FILE} \([0-9a-f]+ on record, [0-9a-f]+ now\)"
    for main, *arguments in asking:
        ended = run_main(main, *arguments)
        assert ended.code == 0
        assert re.search(f"digitcmp: warning: run: {told}", ended.err)
    with pytest.warns(UserWarning, match=told):
        digitcmp.load_model("run")
    assert f"code     {FILE} (" in run_main(runs.main, "rerun", "run", "--out", "again").out
    assert f"not the code on record: {FILE} (" in run_main(verify.main, "run", "--rounds", "1").out
    assert f"{FILE} (1 round), " not in run_main(report.main, "run").out
    same = run_cli(*LET_IN, *TINY, *PARTS, "engine=serial", "save_model=true")
    assert "other code" not in same.out  # nothing is left to train
    more = run_cli(*LET_IN, *TINY, *PARTS, "engine=serial", "save_model=true", "rounds=3")
    assert f"the rounds to come are trained with other code than those on record: {FILE} (" in more.out


def test_the_command_of_a_sweep(run_cli: Cli, run_main: Callable[..., Ended]) -> None:
    """Lets in what was let in, and names folders as they were typed."""
    typed = [*LET_IN, "--multirun", *TINY[:-1], "augment=dim,none", "engine=serial", "hydra.sweep.dir=sweep"]
    assert run_cli(*typed).code == 0
    (line,) = [line for line in run_main(report.main, "sweep").out.splitlines() if line.startswith("command")]
    assert f"--config-dir my_conf --allow-code {FILE} --multirun" in line
    assert "augment=dim,none" in line


def test_stacked_and_alone(run_cli: Cli) -> None:
    """The same numbers."""
    losses = []
    for engine in ("serial", "stacked"):
        assert run_cli(*LET_IN, *TINY[:-1], *PARTS, "rounds=2", "device=cpu", f"engine={engine}", f"hydra.run.dir={engine}").code == 0
        losses.append([float(line.split(",")[3]) for line in Path(engine, "rounds.csv").read_text().splitlines()[1:]])
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def test_weights_that_nobody_sets(run_cli: Cli) -> None:
    """Are refused: they would begin as whatever is in memory."""
    text = Path(FILE).read_text()
    Path(FILE).write_text(text.replace("def initialise", "def other"))
    ended = run_cli(*LET_IN, *TINY, *PARTS, "engine=serial")
    assert (ended.code, ended.err.count("\n")) == (1, 1)
    assert "digitcmp.own.plugins:Scaled has factors, which nothing sets; give the class a method initialise(self, random)" in ended.err
