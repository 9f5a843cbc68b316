"""The table and the picture of a network."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from matplotlib.patches import FancyBboxPatch

from digitcmp.config.meant import of_one
from digitcmp.draw import cli
from digitcmp.draw.picture import draw
from digitcmp.draw.table import layers, total
from digitcmp.model.network import count_parameters
from tests.conftest import MODELS, Ended, compose_tree


@pytest.fixture
def ask(run_main: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Ended]:
    """Run `python -m digitcmp.draw` in this process."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    return partial(run_main, cli.main)


@pytest.mark.parametrize("name", MODELS)
def test_every_network(name: str) -> None:
    """All its parameters are in the table; no two boxes of its picture overlap, and each layer has one, or two for the two digits."""
    model, size, borrowed = cli.network([f"model={name}"], None)
    assert not borrowed
    found = layers(model, size)
    assert total(found) == count_parameters(model, size)
    (axes,) = draw(model, found, size).axes
    boxes = [patch for patch in axes.patches if isinstance(patch, FancyBboxPatch)]
    assert len(boxes) >= sum(2 if layer.each else 1 for layer in found) + 2
    corners = [(box.get_x(), box.get_y(), box.get_x() + box.get_width(), box.get_y() + box.get_height()) for box in boxes]
    for place, (left, low, right, high) in enumerate(corners):
        for other_left, other_low, other_right, other_high in corners[place + 1 :]:
            assert right < other_left or other_right < left or high < other_low or other_high < low


def test_what_it_says(ask: Callable[..., Ended]) -> None:
    """Layers with shapes and parameters, on the screen and in files; what is switched on in the command is in them."""
    ended = ask("model=net4", "--out", "drawn")
    assert (ended.code, ended.err) == (0, "")
    assert "net4: 68,427 parameters" in ended.out
    (row,) = [line.split() for line in ended.out.splitlines() if line.startswith("tower[1]")]
    assert row[1:4] == ["each,", "shared", "conv"]
    assert row[-6:] == ["32", "×", "5", "×", "5", "4,704"]
    assert {path.name for path in Path("drawn").iterdir()} == {"net4.md", "net4.pdf", "net4.png", "net4.svg"}
    page = Path("drawn/net4.md").read_text()
    assert "| digit_head | both | 10 logits | 10 | 1,290 |" in page
    assert "dropout 0.3" in ask("model=wsn", "model.dropout=0.3").out
    assert "each, its own" in ask("model=net2", "model.weight_sharing=false").out
    assert "inception, " in ask("model.tower=[{kind:inception,channels:16}]").out  # which reads no kernel


def test_a_network_of_ones_own(ask: Callable[..., Ended]) -> None:
    """From a folder of YAML files."""
    Path("my/model").mkdir(parents=True)
    Path("my/model/mine.yaml").write_text("name: mine\nweight_sharing: true\ntower: [{channels: 3}]\n")
    ended = ask("model=mine", "--config-dir", "my")
    assert ended.code == 0, ended.err
    assert "mine: " in ended.out


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("model=net5", "model=net5: there is no such choice"),
        ("model.tower=[{channels:6,kernel:9},{channels:16,kernel:9}]", "model.tower[1]: nothing is left of the image after this layer"),
        ("model.layers=3", "model.layers"),
        ("model.comparator.reads=foo", "model.comparator.reads=foo: choose one of "),
        ("model.tower=[{channels:6,stride:0}]", "model.tower[0].stride=0: must be"),
    ],
)
def test_wrong_input(ask: Callable[..., Ended], given: str, words: str) -> None:
    """One line, exit code 1, no file."""
    ended = ask(given, "--out", "drawn")
    assert (ended.code, len(ended.err.splitlines())) == (1, 1), ended.err
    assert words in ended.err
    assert not Path("drawn").exists()


TRAINS = {
    "model=[net2,net3]": "model=[net2,net3]: a group takes one choice; give it one",
    "model=net2,net3": "model=net2,net3: several values are for many runs; give it one",
    "model.dropout=[0.1,0.2]": "model.dropout=[0.1, 0.2]: must be a number; give it one",
    "model=net2, net3": "model=net2,: a value is missing beside a comma; give it one",
    "model= net2": "model= net2: a key and its value are one word; did you mean: python -m digitcmp.draw model=net2",
    "model:net2": "did you mean: python -m digitcmp.draw model=net2",
    "train model=net2": "train: this is not KEY=VALUE; did you mean: python -m digitcmp.draw model=net2",
    "model.tower.channels=3": "model.tower is a list; say which of its entries is meant, as in model.tower.0.channels",
}


@pytest.mark.parametrize("given", TRAINS)
def test_no_advice_trains(ask: Callable[..., Ended], given: str) -> None:
    """Whoever wants a picture is told of no command that trains; of this one, where it is meant."""
    ended = ask(*given.split())
    assert ended.code == 1
    assert ended.err.startswith("digitcmp: ")
    assert TRAINS[given] in ended.err
    assert ended.err.count("\n") == 1
    assert "python -m digitcmp " not in ended.err
    assert of_one("a: wrong; did you mean: python -m digitcmp model=a") == "a: wrong"


def test_a_network_needs_no_recipe() -> None:
    """One whose digits only an auxiliary loss would train is drawn without."""
    assert compose_tree("model=splitnet").aux_weight == 0
    model, *_ = cli.network(["model=splitnet"], None)
    assert model.name == "splitnet"
