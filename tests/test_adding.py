"""docs/adding.md, step by step on a copy: the files that a section names are all that it takes, and what is added trains."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

PAGE = (ROOT / "docs" / "adding.md").read_text()
TINY = ["epochs=2", "data.train_pairs=60", "data.test_pairs=60", "batch_size=20", "engine=serial"]
BLOCK = '''

class Halved(nn.Module):
    """Half of what comes in."""

    def __init__(self, layer: ConvLayer, inputs: Shape) -> None:
        super().__init__()

    def forward(self, x: Tensor) -> Tensor:
        return x * 0.5


'''
SOURCE = '''

def load_mirrored(root: str | None) -> Source:
    """The bundled digits, left and right exchanged."""
    plain = load_digits(root)
    halves = [Split(part.images.flip(-1), part.labels) for part in (plain.train, plain.test)]
    return Source("mirrored", halves[0], halves[1], plain.repeat)


OWN: '''
OPTIMIZER = """@dataclass
class Rms(OptimizerConfig):
    algorithm: str = key("RMSprop", help=ALGORITHM)
    alpha: float = key(0.99, at_least=0, below=1, help="decay of the mean of squares")


@dataclass
class Linear(SchedulerConfig):
    shape: str = key("linear", help=SHAPE)
    final: float = key(0.0, at_least=0, at_most=1, help=FINAL)


@dataclass
class OneCycle("""
SHAPE = '''def linear(progress: float, final: float) -> float:
    """From 1 to `final` along a line."""
    return 1 + progress * (final - 1)


SHAPES = '''
AUGMENTATION = '''def dimmed(images: Tensor, keys: Tensor, most: float) -> Tensor:
    """Each digit darker by up to `most` of its brightness."""
    darker = draws(images, keys, 1).abs() * most
    return images * (1 - darker.view(*images.shape[:-2], 1, 1))


AUGMENTATIONS = '''
COLUMN = '''def mirrored(images: Tensor) -> Tensor:
    """Left and right exchanged."""
    return images.flip(-1)


COLUMNS: '''
STRENGTHS = """@dataclass
class Dimmed(AugmentConfig):
    kind: str = key("dimmed", help=KIND)
    most: float = key(0.5, at_least=0, below=1, help="share of the brightness that may be taken away")


@dataclass
class Affine("""
NETWORK = """# A small network.
name: mine
weight_sharing: true
tower: [{channels: 8, kernel: 3, pool: 2}, {kind: halved, activation: elu}]
digit_dense: [{units: 20}]
comparator: {reads: features}
"""
RUNG = """# @package _global_
# Half the epochs.
defaults: [01_net1, _self_]
epochs: 30
"""
SWEEP = """# @package _global_
# python -m digitcmp --multirun +sweeps=mine
# Whether the seed matters.
hydra:
  sweep: {dir: outputs/mine}
  sweeper:
    params: {seed: "0,1"}
"""
# by section of the page: file -> what is put into it, in place of what (None: a new file)
STEPS: dict[str, list[tuple[str, str | None, str]]] = {
    "A network: one file": [("conf/model/mine.yaml", None, NETWORK)],
    "A new kind of block": [
        ("digitcmp/model/convolutions.py", "\n\nclass Inception(", f"{BLOCK}class Inception("),
        (
            "digitcmp/config/blocks.py",
            '    "dense": Block(',
            '    "halved": Block("digitcmp.model.convolutions:Halved", "images", unchanged),\n    "dense": Block(',
        ),
    ],
    "A data set: one function and one file": [
        ("digitcmp/data/sources.py", "OWN: ", SOURCE),
        ("digitcmp/data/sources.py", '"npz": load_npz,', '"npz": load_npz, "mirrored": load_mirrored,'),
        ("conf/data/mirrored.yaml", None, "# Digits in a mirror.\nsource: mirrored\n"),
    ],
    "An optimiser or a schedule": [
        ("digitcmp/config/schema/optimizer.py", "@dataclass\nclass OneCycle(", OPTIMIZER),
        ("digitcmp/config/schema/run.py", '"sgd": Sgd,', '"sgd": Sgd, "rms": Rms,'),
        ("digitcmp/config/schema/run.py", '"cosine": Cosine,', '"cosine": Cosine, "linear": Linear,'),
        ("digitcmp/config/schema/run.py", "    OneCycle,\n", "    Linear,\n    OneCycle,\n    Rms,\n"),
        ("conf/optimizer/rms.yaml", None, "# RMSprop.\ndefaults: [/schema/optimizer/rms@_here_, _self_]\nlr: 0.001\n"),
        ("digitcmp/train/schedules.py", "SHAPES = ", SHAPE),
        ("digitcmp/train/schedules.py", '"cosine": cosine,', '"cosine": cosine, "linear": linear,'),
        ("conf/scheduler/linear.yaml", None, "# Along a line.\ndefaults: [/schema/scheduler/linear@_here_, _self_]\n"),
    ],
    "An augmentation": [
        ("digitcmp/data/transforms.py", "AUGMENTATIONS = ", AUGMENTATION),
        ("digitcmp/data/transforms.py", '"affine": affine,', '"affine": affine, "dimmed": dimmed,'),
        ("digitcmp/config/schema/data.py", "@dataclass\nclass Affine(", STRENGTHS),
        ("digitcmp/config/schema/run.py", '"affine": Affine,', '"affine": Affine, "dimmed": Dimmed,'),
        ("digitcmp/config/schema/run.py", "DataConfig, Elastic", "DataConfig, Dimmed, Elastic"),
        ("conf/augment/dimmed.yaml", None, "# Darker.\ndefaults: [/schema/augment/dimmed@_here_, _self_]\n"),
    ],
    "A column: a form in which networks see digits": [
        ("digitcmp/data/transforms.py", "COLUMNS: ", COLUMN),
        ("digitcmp/data/transforms.py", '"moments": moments}', '"moments": moments, "mirrored": mirrored}'),
        ("digitcmp/config/schema/data.py", '("plain", "moments")', '("plain", "moments", "mirrored")'),
    ],
    "A rung of the ladder": [("conf/ladder/99_half.yaml", None, RUNG)],
    "A sweep: one file": [("sweeps/mine.yaml", None, SWEEP)],
}


def section(title: str) -> str:
    """The text of a section of the page."""
    return PAGE.split(f"## {title}\n")[1].split("\n## ")[0]


@pytest.mark.parametrize("title", STEPS)
def test_the_page_names_the_files(title: str) -> None:
    """Each file that has to be touched, by its path below the package or its folder."""
    text = section(title)
    for file, before, _ in STEPS[title]:
        names = [str(Path(file).parent) + "/"] if before is None else [file.removeprefix("digitcmp/")]
        assert any(name in text for name in names), f"{title} does not name {file}"


def test_what_is_added_trains(tmp_path: Path) -> None:
    """All sections done on one copy: everything new in one run, a sweep and a rung; and the copy's help tells of them."""
    for folder in ("digitcmp", "conf", "sweeps"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for file, before, text in (step for steps in STEPS.values() for step in steps):
        path = tmp_path / file
        if before is None:
            path.write_text(text)
            continue
        assert path.read_text().count(before) == 1, f"{file}: {before!r}"
        path.write_text(path.read_text().replace(before, text))
    (tmp_path / "elsewhere").mkdir()
    everything = [
        "model=mine",
        "data=mirrored",
        "optimizer=rms",
        "scheduler=linear",
        "augment=dimmed",
        "ensemble=2",
        "columns=[plain,mirrored]",
    ]
    told = run(tmp_path, *TINY, *everything, "optimizer.alpha=0.9", "augment.most=0.2")
    assert re.search(r"network +mine, [\d,]+ parameters in 2 networks", told)
    assert "mirrored, 60 training" in told
    assert "2 runs" in run(tmp_path, "--multirun", "+sweeps=mine", *TINY, "report=false")
    assert "epochs: 30" in run(tmp_path, "+ladder=99_half", "--cfg", "job")
    assert "mirrored" in run(tmp_path, "--help-choices")


def run(copy: Path, *arguments: str) -> str:
    """What the copy's command prints."""
    environment = {**os.environ, "PYTHONPATH": str(copy), "OMP_NUM_THREADS": "1", "COLUMNS": "200"}
    ended = subprocess.run(
        [sys.executable, "-m", "digitcmp", *arguments], cwd=copy / "elsewhere", env=environment, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout
