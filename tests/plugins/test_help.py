"""What a newcomer asks first: --help, --help-keys, --help-choices, --help-sweeps, and completion of what is typed."""

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest

from digitcmp.config.blocks import BLOCKS
from digitcmp.config.messages import known_keys
from digitcmp.config.schema import GROUP_SCHEMAS, Config
from digitcmp.search.config import SearchConfig
from tests.conftest import SWEEPS, Ended, choices

Cli = Callable[..., Ended]
GROUPS = ("model", "optimizer", "scheduler", "data", "augment", "callbacks", "experiment", "ladder")


def described(node: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Every key of a dataclass and of its parts and layers, and what its metadata say that it means."""
    hints = get_type_hints(node)
    for item in fields(node):
        if not item.name.startswith("_"):
            yield prefix + item.name, item.metadata.get("help", "")
        for kind in filter(is_dataclass, (hints[item.name], *get_args(hints[item.name]))):
            yield from described(kind, f"{prefix}{item.name}.")


EXPLAINED = r"^  (\w+)(?:  +|\n {6,})\S"  # a name, and beside or, where it is long, below it what it is


@pytest.mark.parametrize("node", [Config, SearchConfig, *(kind for kinds in GROUP_SCHEMAS.values() for kind in kinds.values())])
def test_every_key_has_a_meaning(node: type) -> None:
    """In a line, beside the key."""
    meanings = dict(described(node))
    assert not [name for name, text in meanings.items() if len(text) < 6 or text.endswith(".") or "\n" in text]


@pytest.mark.parametrize("columns", [80, 120])
def test_help_fits_one_screen(run_cli: Cli, monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    """24 rows with the prompt, nothing wrapped; every group and what tells of its choices, five commands, the other commands."""
    monkeypatch.setenv("COLUMNS", str(columns))
    ended = run_cli("--help")
    lines = ended.out.splitlines()
    assert (ended.code, ended.err) == (0, "")
    assert len(lines) <= 23
    assert max(map(len, lines)) <= 80
    assert {re.split("  +", line)[1] for line in lines if " in all" in line} == {"model", "data", "+experiment", "+sweeps"}
    for named in (
        "--help-keys",
        "--help-choices",
        "--help-sweeps",
        "--cfg job",
        "net1",
        "  optimizer    adam adamw sgd",
        "01_net1 … 21_longer",
    ):
        assert named in ended.out
    for command in ("digitcmp.report FOLDER", "digitcmp.report.ablation", "digitcmp.verify", "digitcmp.mistakes", "digitcmp.runs"):
        assert command in ended.out
    assert len([line for line in lines if re.match(r"  python -m digitcmp($| )", line)]) == 5


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ("--help-sweeps table1", "--help-sweeps table1: this screen lists all sweeps, and takes no name; leave it out"),
        ("table1 --help-sweeps", "--help-sweeps table1: this screen lists all sweeps, and takes no name; leave it out"),
        ("--help-choices net1", "--help-choices net1: this screen lists all choices, and takes no name; leave it out"),
        ("--help-choices model", "--help-choices model: this screen lists all choices, and takes no name; leave it out; KEYS model"),
    ],
)
def test_screens_that_take_no_name(run_cli: Cli, arguments: str, told: str) -> None:
    """Say so, whatever would be wrong with it as an override."""
    ended = run_cli(*arguments.split())
    assert (ended.code, ended.err) == (1, f"digitcmp: {told.replace('KEYS', 'the keys of that group: --help-keys')}\n")


@pytest.mark.parametrize("screen", ["--help", "--help-keys", "--help-choices", "--help-sweeps"])
@pytest.mark.parametrize("columns", [20, 80])
def test_no_line_is_longer_than_the_terminal(run_cli: Cli, monkeypatch: pytest.MonkeyPatch, screen: str, columns: int) -> None:
    """Whatever is asked for."""
    monkeypatch.setenv("COLUMNS", str(columns))
    ended = run_cli(screen)
    assert ended.code == 0
    assert max(map(len, ended.out.splitlines())) <= columns


def test_every_key_is_explained(run_cli: Cli) -> None:
    """With its value in what was composed, its meaning and what it takes; those of choices that were not made, with their defaults."""
    shown = run_cli("--help-keys", "model=wsn", "optimizer=sgd", "aux_weight=0.25").out
    typed = {line.split("=")[0].strip() for line in shown.splitlines() if re.match(r"  [\w.]+=", line)}
    leaves = {key for key in known_keys() if not any(other.startswith(f"{key}.") for other in known_keys())}
    told_by_choice = {"optimizer.algorithm", "scheduler.shape", "augment.kind"}
    layers = {
        key
        for key in leaves
        if re.match(
            r"(model\.(tower|digit_dense|joint_dense|aux_heads|digit_head\.hidden|comparator\.hidden)|optimizer\.groups|loss\.terms)\.", key
        )
    }
    assert leaves - layers - told_by_choice <= typed
    assert {key.rpartition(".")[2] for key in layers} <= typed
    for line in (
        "  aux_weight=0.25         loss = comparison loss",
        "  model.name=wsn          what",
        "\noptimizer=sgd\n  optimizer.lr=0.1        the learning rate (above 0)\n",
        "\nwith optimizer=adam also\n  optimizer.betas=[0.9,0.999]\n",
        "model.tower=2 layers",
        "\neach layer of model.tower\n",
        "\neach head of model.aux_heads\n",
        "\neach group of optimizer.groups\n",
        "\neach term of loss.terms\n",
        "optimizer.groups=0 groups",
        "\n  order=[layer,norm,activation,drop]\n",
        "  options={}",
        "  engine=auto             how rounds are executed",
        "  workers=null            worker processes; null: one per core (at least 1)\n",
    ):
        assert line in shown
    assert "hydra.sweeper" not in shown


def test_keys_of_some_groups(run_cli: Cli, tmp_path: Path) -> None:
    """Those alone, with the values that choices give; a word that is no group is told, with those that there are."""
    (tmp_path / "stopping").mkdir()
    shown = run_cli("--config-dir", "stopping", "--help-keys", "optimizer", "stopping", "optimizer=sgd").out
    assert {key.partition(".")[0] for key in re.findall(r"^  ([\w.]+)=", shown, re.M) if "." in key} == {"optimizer", "stopping"}
    assert "\noptimizer=sgd\n  optimizer.lr=0.1 " in shown
    assert "what is trained" not in shown
    assert len(shown.splitlines()) < 60
    ended = run_cli("--help-keys", "optimiser")
    assert (ended.code, ended.err.count("\n")) == (1, 1)
    assert "--help-keys optimiser: there is no such group of keys (did you mean optimizer?); choose one of auto, ray, slurm, " in ended.err
    assert "--help-keys xyz: there is no such group of keys; choose one of auto, " in run_cli("--help-keys", "xyz").err


def test_every_block_is_explained(run_cli: Cli) -> None:
    """What it is, and the keys of a layer that it reads: each is explained above."""
    shown = re.sub(r"\n {6,}", " ", run_cli("--help-keys").out)  # what was wrapped is one line again
    for name, block in BLOCKS.own.items():
        told = re.search(rf"^  kind={name} +(.+); reads (.+)$", shown, re.MULTILINE)
        assert told, name
        assert (told[1], told[2].split(", ")) == (block.help, [key for key in block.read if key not in ("kind", "options")])
    assert shown.index("\n  channels=null") < shown.index("\n  kind=conv ") < shown.index("\n  units=null") < shown.index("\n  kind=dense ")


def test_the_keys_of_a_search_are_explained(run_cli: Cli) -> None:
    """Where it is a search that was asked for."""
    shown = run_cli("--help-keys", "+sweeps=search_smoke").out
    assert "  hydra.sweeper.n_trials=16\n" in shown
    assert "  hydra.sweeper.pruners.median.n_startup_trials=4\n" in shown


def test_every_choice_is_explained(run_cli: Cli) -> None:
    """By the comment that its file opens with."""
    shown = run_cli("--help-choices").out
    sections = {part.split("=\n")[0].lstrip("+"): part for part in shown.split("\n\n")[1:]}
    assert sorted(sections) == sorted([*GROUPS, "sweeps"])
    for group in (*GROUPS, "sweeps"):
        names = choices(group) if group != "sweeps" else sorted(path.stem for path in SWEEPS.glob("*.yaml"))
        assert re.findall(EXPLAINED, sections[group], re.M) == names
    assert "  net3               Model 3 of the published Table 1: net2 with one digit head" in shown
    assert "@package" not in shown


def test_every_sweep_is_explained(run_cli: Cli) -> None:
    """Beside its name; and the sweeps and networks of a folder of one's own, too."""
    shown = run_cli("--help-sweeps").out
    assert "  table1             The published Table 1: Models 1 to 4 on MNIST, 100 rounds\n" in shown
    assert len(re.findall(EXPLAINED, shown, re.M)) == len(list(SWEEPS.glob("*.yaml")))
    assert "+sweeps=table1" not in shown


def test_choices_of_ones_own(run_cli: Cli, tmp_path: Path) -> None:
    """Found, with or without a comment."""
    (tmp_path / "mine" / "model").mkdir(parents=True)
    for name, text in {"bare": "name: bare\n", "said": "# A network of mine. It is good.\nname: said\n"}.items():
        (tmp_path / "mine" / "model" / f"{name}.yaml").write_text(text)
    shown = run_cli("--config-dir", "mine", "--help-choices").out
    assert "\n  bare\n" in shown
    assert "\n  said               A network of mine\n" in shown


def test_links_to_a_folder_that_they_lie_in(run_cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody goes round and round behind them: no help, no completion; a listing looks at the folders that it names alone."""
    (tmp_path / "mine" / "model").mkdir(parents=True)
    for name in ("one", "two", "model/up", "model/root", "model/hydra"):
        (tmp_path / "mine" / name).symlink_to("/" if name.endswith("root") else tmp_path / "mine")
    (tmp_path / "mine" / "model" / "bare.yaml").write_text("name: bare\n")
    looked: list[str] = []
    real = os.listdir

    def counted(path: Any = ".") -> list[str]:
        looked.append(str(path))
        assert len(looked) < 500
        return real(path)

    monkeypatch.setattr(os, "listdir", counted)
    monkeypatch.setenv("COMP_LINE", "digitcmp --config-dir mine model=ba")
    for arguments in (["--help"], ["--hydra-help"], ["--help-choices"], ["-sc", "query=bash"], ["--info", "defaults"]):
        ended = run_cli("--config-dir", "mine", *arguments)
        assert (ended.code, ended.err) == (0, ""), arguments
    assert "hydra/launcher" in run_cli("--hydra-help").out
    assert not [path for path in looked if "/model/" in path]
    assert looked


OPTIONS = {
    "--helpkeys": "--helpkeys: there is no such option; did you mean: python -m digitcmp --help-keys",
    "seed=1 --mutlirun model=net1": "--mutlirun: there is no such option; did you mean: python -m digitcmp seed=1 --multirun model=net1",
    "-multirun model=net1": "-multirun: there is no such option; did you mean: python -m digitcmp --multirun model=net1",
    "--config-dri=my model=net1": "--config-dri: there is no such option; did you mean: python -m digitcmp --config-dir=my model=net1",
    "--xyz": "--xyz: there is no such option; choose one of --allow-code, --cfg, --config-dir, ",
    "--seed 3 model=wsn": "--seed: a key is written without dashes; did you mean: python -m digitcmp seed=3 model=wsn",
    "--aux-weight=0.5": "--aux-weight: a key is written without dashes; did you mean: python -m digitcmp aux_weight=0.5",
    "--preview": "--preview: a key is written without dashes; did you mean: python -m digitcmp preview=true",
    "--config-dir my model=net1": "/my: there is no such folder",
    "--config-path my": "--config-path my: there is no such folder in digitcmp; --config-dir names one of your own",
    "--config-name my": "--config-name my: no folder of configurations has such a file",
    "--help-": "--help-: this is the beginning of several options: --help-choices; --help-keys; --help-sweeps",
    "--config my.yaml": "--config-dir FOLDER, of YAML files of your own beside those of digitcmp; --config-name NAME, of the file to begin "
    "with, without .yaml; --config-path FOLDER, in place of that of digitcmp",
    "--config-path my/config.yaml": "--config-path: this takes a folder; --config-name is a file in it, without .yaml",
    "--help-keys --help-choices": "--help-choices --help-keys: these are screens of their own; ask for one at a time",
    "--cfg jobs": "argument --cfg/-c: invalid choice: 'jobs'",
    "--config-dir": "argument --config-dir/-cd: expected one argument",
    "--shell-completion": "--shell-completion: give a task and a shell, as in --shell-completion install=bash",
    "--shell-completion install=tcsh": "--shell-completion install=tcsh: give a task and a shell",
    "--shell-completion install=bash uninstall=bash": "give a task and a shell",
    "-sc query=bash": "--shell-completion query: this is for a shell",
}


@pytest.mark.parametrize("arguments", OPTIONS)
def test_a_wrong_option_is_one_line(run_cli: Cli, monkeypatch: pytest.MonkeyPatch, arguments: str) -> None:
    """Exit code 1, and what was meant."""
    monkeypatch.delenv("COMP_LINE", raising=False)
    ended = run_cli(*arguments.split())
    assert (ended.code, ended.out, ended.err.count("\n")) == (1, "", 1)
    assert ended.err.startswith("digitcmp: ")
    assert OPTIONS[arguments] in ended.err


def test_the_beginning_of_an_option_is_enough(run_cli: Cli) -> None:
    """As everywhere."""
    assert run_cli("--help-sw").out == run_cli("--help-sweeps").out


BASH = r"""
eval "$INSTALL"
COMP_LINE="digitcmp model=ws" COMP_POINT=17 COMP_CWORD=1
PATH="$PWD:$PATH" hydra_bash_completion
printf '%s\n' "${COMPREPLY[@]}"
complete -p digitcmp
"""


def test_completion_in_bash(run_cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What is installed is for `digitcmp`, however it was installed, asks the command itself, and gives what that answers."""
    installed = run_cli("--shell-completion", "install=bash")
    assert (installed.code, installed.err) == (0, "")
    with monkeypatch.context() as patched:
        patched.setenv("COMP_LINE", "digitcmp model=ws")
        answers = run_cli("-sc", "query=bash")
    assert answers.out.split() == ["model=wsmodel", "model=wsmodel1", "model=wsn"]
    (tmp_path / "answers").write_text(answers.out)
    (tmp_path / "digitcmp").write_text("#!/bin/sh\nprintf '%s' \"$*\" > asked\ncat answers\n")
    (tmp_path / "digitcmp").chmod(0o755)
    done = subprocess.run(
        [str(shutil.which("bash")), "--norc", "-c", BASH],
        cwd=tmp_path,
        env={"INSTALL": installed.out, "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[:3] == ["model=wsmodel", "model=wsmodel1", "model=wsn"]
    assert done.stdout.splitlines()[-1].endswith("-F hydra_bash_completion digitcmp")
    assert (tmp_path / "asked").read_text() == "-sc query=bash"


def test_completion_of_a_plus_sign_and_of_other_shells(run_cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """Added groups; fish and zsh are told the same."""
    monkeypatch.setenv("COMP_LINE", "digitcmp +sweeps=sear")
    for shell in ("bash", "fish", "zsh"):
        found = run_cli("-sc", f"query={shell}").out.split()
        assert found == [f"+sweeps={path.stem}" for path in sorted(SWEEPS.glob("search_*.yaml"))]
    assert "complete -c digitcmp" in run_cli("--shell-completion", "install=fish").out


@pytest.mark.parametrize("command", ["report", "report.ablation", "verify", "mistakes", "runs", "new"])
def test_the_help_of_the_other_commands_fits(command: str, run_main: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """80 columns, and examples that are whole lines."""
    monkeypatch.setenv("COLUMNS", "80")
    ended = run_main(import_module(f"digitcmp.{command}.cli").main, "--help")
    assert (ended.code, ended.err) == (0, "")
    lines = ended.out.splitlines()
    assert max(map(len, lines)) <= 80
    assert len([line for line in lines if line.startswith(f"  python -m digitcmp.{command} ")]) >= 2
