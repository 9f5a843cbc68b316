"""examples/plugin, installed from its folder as docs/adding.md says: it trains, stacks, searches, comes back, and keeps all promises."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from jsonschema import Draft7Validator
from sklearn.datasets import load_digits

import digitcmp
from benchmarks.reference import ReferenceGelunet
from digitcmp.contracts.network import fresh, some_pairs
from digitcmp.errors import ConfigError, RunError
from digitcmp.schema.files import schema_of
from tests.conftest import ROOT, Ended, compose_config

Cli = Callable[..., Ended]
TINY = ("epochs=1", "data.train_pairs=60", "data.test_pairs=40", "batch_size=20", "rounds=2")
PARTS = ("model=gelunet", "augment=blot", "aux_weight=1", "data=arrays", "data.root=digits.npz")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of packages that has it; nothing is downloaded for that."""
    folder = tmp_path_factory.mktemp("example")
    shutil.copytree(ROOT / "examples" / "plugin", folder / "source")
    offline = ["--no-build-isolation", "--no-deps", "--no-index", "--disable-pip-version-check", "--quiet"]
    install = [sys.executable, "-m", "pip", "install", *offline, "--target", str(folder / "site"), str(folder / "source")]
    ended = subprocess.run(install, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    return folder / "site"


@pytest.fixture
def installed(site: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Installed for this process, with digits for it in the working folder."""
    monkeypatch.syspath_prepend(site)
    monkeypatch.chdir(tmp_path)
    save_digits(Path("digits.npz"))


def save_digits(path: Path) -> None:
    """scikit-learn's digits, 16 x 16 without their margin."""
    raw = load_digits()
    images = np.kron(raw.images, np.ones((2, 2)))[:, 1:-1, 1:-1].astype(np.uint8) * 15
    parts = {"train": slice(0, 1200), "test": slice(1200, None)}
    arrays = {f"{part}_images": images[some] for part, some in parts.items()}
    np.savez(path, **arrays, **{f"{part}_labels": raw.target[some] for part, some in parts.items()})


def losses(run: str) -> list[float]:
    """Those of the rounds of a run."""
    return [float(line.split(",")[3]) for line in Path(run, "rounds.csv").read_text().splitlines()[1:]]


def test_it_is_small() -> None:
    """Three files beside its pyproject.toml."""
    files = [path for path in (ROOT / "examples" / "plugin").rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    assert len(files) <= 4


@pytest.mark.usefixtures("installed")
def test_every_engine_trains_it_and_it_comes_back(run_cli: Cli) -> None:
    """The same numbers; the package is on record; the same command again trains nothing."""
    command = (*PARTS, *TINY, "engine=processes", "workers=2", "save_model=true", "hydra.run.dir=run")
    assert run_cli(*command).code == 0
    assert json.loads(Path("run/run.json").read_text())["plugins"] == {"digitcmp-example": "0.1.0"}
    before = Path("run/rounds.csv").read_text()
    assert run_cli(*command).code == 0
    assert Path("run/rounds.csv").read_text() == before
    assert run_cli(*PARTS, *TINY, "engine=stacked", "device=cpu", "hydra.run.dir=stacked").code == 0
    assert losses("run") == pytest.approx(losses("stacked"), rel=1e-4)
    assert digitcmp.load_model("run", seed=1).seed == 1


def test_its_runs_are_told_where_it_is_not_installed(
    run_cli: Cli, site: Path, installed: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Their networks need it, and the line says so; their report does not."""
    del installed
    assert run_cli(*PARTS, *TINY, "engine=serial", "save_model=true", "hydra.run.dir=run").code == 0
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path != str(site)])
    with pytest.raises(RunError, match=r"what digitcmp-example \(0\.1\.0\) offers, which is not here; install digitcmp-example$"):
        digitcmp.load_model(tmp_path / "run")
    assert len(digitcmp.load_rounds(tmp_path / "run")) == 2


@pytest.mark.usefixtures("installed")
def test_the_plain_loop_beside_it_has_the_same_network() -> None:
    """What it is measured against (`benchmarks.package`) answers as it does, with the same weights."""
    model, plain = compose_config(*PARTS[:3]).model, ReferenceGelunet().eval()
    network = fresh(model).eval()
    for ours, theirs in zip(network.parameters(), plain.parameters(), strict=True):
        values = ours.data
        if values.shape == (32, 288):  # ours reads pixel by pixel, the other channel by channel
            values = values.view(32, 3, 3, 32).permute(0, 3, 1, 2).flatten(1)
        theirs.data.copy_(values)
    images = some_pairs(model)[0][0]
    outputs, (comparison, digits) = network(images), plain(images)
    torch.testing.assert_close(comparison, outputs.comparison[:, 1] - outputs.comparison[:, 0])
    torch.testing.assert_close(torch.stack(digits, dim=1), outputs.digits)


@pytest.mark.usefixtures("installed")
def test_its_keys_are_searched(run_cli: Cli) -> None:
    """Like ours."""
    search = ("hydra/sweeper=digitcmp_optuna", "hydra.sweeper.n_trials=2", "hydra.sweep.dir=search", "data.val_pairs=20", "engine=serial")
    ended = run_cli("--multirun", *search, *PARTS, *TINY[:-1], "augment.size=interval(0,6)")
    assert ended.code == 0, ended.err
    assert "augment.size" in Path("search/best.yaml").read_text() or "size:" in Path("search/best.yaml").read_text()


@pytest.mark.usefixtures("installed")
def test_its_block_is_explained(run_cli: Cli) -> None:
    """With the package's name, and with the keys of its options, to whoever asks for help, and to an editor."""
    shown = re.sub(r"\s+", " ", run_cli("--help-keys").out)
    assert (
        " kind=gelu_residual two convolutions with a GELU between them, added to what comes in; of digitcmp-example 0.1.0; reads " in shown
    )
    assert " options.scale=1.0 of what the two convolutions add (above 0) " in shown
    schema = Draft7Validator(schema_of("model"))
    assert [schema.is_valid({"tower": [{"kind": "gelu_residual", "options": {"scale": scale}}]}) for scale in (0.5, 0)] == [True, False]


@pytest.mark.usefixtures("installed")
def test_its_options_are_checked() -> None:
    """Before torch is needed, with the layer's key."""
    with pytest.raises(ConfigError, match=r"kind=gelu_residual: options=.*it has scale"):
        compose_config("model=gelunet", "model.tower=[{channels: 4}, {kind: gelu_residual, options: {size: 2}}]")
    with pytest.raises(ConfigError, match=r"model\.tower\[1\]\.options\.scale=0: must be a finite number, above 0"):
        compose_config("model=gelunet", "model.tower=[{channels: 4}, {kind: gelu_residual, options: {scale: 0}}]")
    with pytest.raises(ConfigError, match=r"model\.tower\[1\]: kernel=2 has no middle"):
        compose_config("model=gelunet", "model.tower=[{channels: 4}, {kind: gelu_residual, kernel: 2}]")


def test_it_keeps_all_promises(site: Path, tmp_path: Path) -> None:
    """The suite that anybody runs over their own, as the page gives it."""
    save_digits(tmp_path / "digits.npz")
    asked = ["--model", "gelunet", "--augment", "blot", "--data", "arrays", "--with", "data.root=digits.npz"]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "digitcmp.contracts.entry", "--pyargs", "digitcmp.contracts", *asked]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{site}", "OMP_NUM_THREADS": "1"}
    ended = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "18 passed" in ended.stdout
    broken = subprocess.run([*command[:8], "--model", "gone"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert broken.returncode != 0
    assert "model=gone: there is no such choice" in broken.stdout
    assert "Traceback" not in broken.stdout
