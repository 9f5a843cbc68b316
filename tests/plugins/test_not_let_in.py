"""Runs that were made with a file of somebody's own, where it is not let in: the line names it and says how it is, whatever it offers."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import digitcmp
from digitcmp.config.allowed import ALLOWED
from digitcmp.config.offered import KINDS
from digitcmp.errors import RunError
from digitcmp.mistakes import cli as mistakes
from digitcmp.new import cli as new
from digitcmp.predict import cli as predict
from digitcmp.report import cli as report
from digitcmp.runs import cli as runs
from digitcmp.verify import cli as verify
from tests.conftest import Ended

Cli = Callable[..., Ended]
MORE = """
from digitcmp.config.schema import OptimizerConfig, SchedulerConfig

class NoisySGD(torch.optim.SGD):
    pass
@dataclass
class Noisy(OptimizerConfig):
    algorithm: str = key("NoisySGD", help="x")
@dataclass
class Falling(SchedulerConfig):
    shape: str = key("falling", help="x")

optimizers = {"NoisySGD": Component(NoisySGD, Noisy)}
schedules = {"falling": Component(lambda progress: 1 - progress, Falling)}
losses = {"apart": lambda embeddings, digits, margin: embeddings.square().mean(dim=(1, 2, 3))}
"""
FILE = "my_conf/plugins.py"
SIZES = ("epochs=1", "data.train_pairs=40", "data.test_pairs=40", "batch_size=20", "save_model=true", "engine=serial", "hydra.run.dir=run")
OFFERED = {  # by group: what is given, and the first words of the line
    "blocks": (["model.tower=[{channels: 4, pool: 3}, {kind: scaled}]"], "model.tower.kind=scaled"),
    "data": (["data=mirrored"], "data.source=mirrored"),
    "augmentations": (["augment=dim", "augment.most=0.3"], "augment.kind=dim"),
    "optimizers": (["optimizer=NoisySGD", "optimizer.lr=0.01"], "optimizer.algorithm=NoisySGD"),
    "losses": (["loss.terms=[{loss: apart}]"], "loss.terms.loss=apart"),
    "schedules": (["scheduler=falling"], "scheduler.shape=falling"),
}
TOLD = rf": the run was made with what {re.escape(FILE)} \([0-9a-f]+\) offers, which is not here; let it in by the environment, {ALLOWED}="


@pytest.fixture
def made(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, run_cli: Cli) -> str:
    """A run that names something of a group, whose file is not let in any longer; the first words of the line."""
    monkeypatch.setenv(ALLOWED, "")
    monkeypatch.chdir(tmp_path)
    new.make("plugins", None, Path("my_conf"))
    Path(FILE).write_text(Path(FILE).read_text() + MORE)
    given, words = OFFERED[request.param]
    data = [] if given[0].startswith("data=") else ["data=digits"]
    ended = run_cli("--config-dir", "my_conf", "--allow-code", FILE, *SIZES, *data, *given)
    assert ended.code == 0, ended.err
    monkeypatch.setenv(ALLOWED, "")
    np.savez("pairs.npz", images=np.zeros((3, 2, 14, 14), dtype="float32"))
    return words


def test_all_groups_are_there() -> None:
    """A group that is added is to be tested here."""
    assert {*OFFERED} == {*KINDS}


@pytest.mark.parametrize("made", OFFERED, indirect=True)
def test_the_line_names_the_file(made: str, run_main: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch) -> None:
    """Of every command that needs it, and what it says works; what does not need it goes on."""
    mains = {
        "verify": (verify.main, "run"),
        "rerun": (runs.main, "rerun", "run", "--out", "again"),
        "predict": (predict.main, "run", "pairs.npz"),
        "mistakes": (mistakes.main, "run"),
    }
    ended = {name: run_main(main, *arguments) for name, (main, *arguments) in mains.items()}
    refused = [name for name, one in ended.items() if one.code]
    assert refused[:2] == ["verify", "rerun"]
    assert "predict" in refused or not made.startswith("model.")
    assert "mistakes" in refused or not made.startswith(("model.", "data."))
    for name in refused:
        assert re.fullmatch(rf"digitcmp: run(/run\.json)?: {re.escape(made)}{TOLD}{FILE}\n", ended[name].err)
    assert run_main(report.main, "run").code == 0
    assert not Path("again").exists()
    monkeypatch.setenv(ALLOWED, FILE)
    for main, *arguments in mains.values():
        one = run_main(main, *arguments)
        assert (one.code, "warning" in one.err) == (0, False)


@pytest.mark.parametrize("made", ["blocks"], indirect=True)
def test_from_python_and_from_elsewhere(made: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where the file is not seen from here, its folder is left open; files that are let in already stay so."""
    Path("other.py").write_text("")
    monkeypatch.setenv(ALLOWED, str(Path("other.py").absolute()))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    with pytest.raises(RunError, match=f"{made}{TOLD}{tmp_path / 'other.py'},FOLDER/{FILE}$"):
        digitcmp.load_model("../run")


@pytest.mark.parametrize("made", OFFERED, indirect=True)
def test_a_file_of_another_name_that_offers_the_same(made: str, run_main: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch) -> None:
    """All that is named is there, and is the code on record."""
    assert made
    Path("my_conf").rename("moved")
    monkeypatch.setenv(ALLOWED, "moved/plugins.py")
    ended = run_main(verify.main, "run")
    assert ended.code == 0, ended.err
    assert "not the code on record" not in ended.out


@pytest.mark.parametrize("made", ["optimizers"], indirect=True)
def test_a_record_that_names_no_code(made: str, run_main: Callable[..., Ended]) -> None:
    """Nothing is made up."""
    about = json.loads(Path("run/run.json").read_text())
    del about["plugins"]
    Path("run/run.json").write_text(json.dumps(about))
    ended = run_main(verify.main, "run")
    assert ended.code == 2
    assert f"{made}: " in ended.err
    assert "offers, which is not here" not in ended.err
