"""Every command of README, docs and --help is run, page by page and in its order, in a shortened form: what a reader types works."""

import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from digitcmp.draw import cli as draw
from digitcmp.mistakes import cli as mistakes
from digitcmp.new import cli as new
from digitcmp.report import cli as report
from digitcmp.report.ablation import cli as ablation
from digitcmp.runs import cli as runs
from digitcmp.schema import cli as schema
from digitcmp.verify import cli as verify
from tests.conftest import ROOT, Ended, needs_mnist
from tests.data.made import make

PAGES = ["README.md", *sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("docs/**/*.md")), "conf/config.yaml"]
MAINS = {
    "digitcmp.report": report.main,
    "digitcmp.report.ablation": ablation.main,
    "digitcmp.verify": verify.main,
    "digitcmp.draw": draw.main,
    "digitcmp.mistakes": mistakes.main,
    "digitcmp.new": new.main,
    "digitcmp.runs": runs.main,
    "digitcmp.schema": schema.main,
}
SHORT = ["epochs=1", "data.train_pairs=60", "data.test_pairs=60", "batch_size=20", "engine=serial"]
FEW = {"course": ["data.val_pairs=20"], "condensed": ["test_batch=20"]}  # sweeps whose recipes hold out, or test, more at a time
ELSEWHERE = {  # what other tests run, or nobody can run everywhere
    "python3 -m venv": "continuous integration runs it",
    ".venv/bin/pip": "continuous integration runs it",
    ". .venv/bin/activate": "of the shell",
    "pip install": "installs something",
    "pytest": "tests/test_example.py runs it",
    "mkdir": "of the shell",
    "export": "of the shell",
    "optuna-dashboard": "a server",
    "python -m benchmarks": "measures, for minutes",
    "python -m digitcmp.demo": "tests/demo has a browser",
    "python -m digitcmp.predict": "tests/predict makes the pictures",
    "sbatch": "tests/plugins/test_slurm.py has a Slurm",
    "ray ": "tests/experiment/raylets.py starts a cluster",
    "kubectl": "nobody has a Kubernetes here; tests/test_cluster_page.py looks at the manifest",
}
SERVERS = ("postgresql://", "STUDY_URL", "--serve")  # tests/search has one, tests/report/test_page.py the other


def lines_of(page: str) -> list[str]:
    """The command lines of a page, in its order: what stands in bash blocks, and whole commands in a sentence; of the configuration,
    what --help shows."""
    text = (ROOT / page).read_text()
    if page.endswith(".yaml"):
        return [line.strip().partition("    ")[0] for line in text.splitlines() if line.strip().startswith("python -m digitcmp")]
    found = re.findall(r"^ *```bash\n(.*?)^ *```|`(python -m digitcmp[^`]*)`", text, re.MULTILINE | re.DOTALL)
    lines = [line.strip() for block, inline in found for line in (block.replace("\\\n", " ").splitlines() or [inline.replace("\n", " ")])]
    return [line for line in lines if line and not line.startswith("#") and not re.search(r"\b(FOLDER|RUN_DIR|NAME)\b", line)]


def commands_of(page: str) -> Iterator[list[str]]:
    """The commands of a page that are run here, as words."""
    for line in lines_of(page):
        if any(line.startswith(begin) for begin in ELSEWHERE) or any(word in line for word in SERVERS):
            continue
        words = shlex.split(line, comments=True)
        while re.fullmatch(r"[A-Z_]+=.*", words[0], re.DOTALL):  # of the environment
            words.pop(0)
        assert words[:2] == ["python", "-m"], f"{page}: nobody runs {line!r}"
        if words[2] == "digitcmp" or words[3:]:  # a module's name alone is no command
            yield words[2:]


def shortened(arguments: list[str], reported: bool = False) -> list[str]:
    """A command of digitcmp with few, small rounds, in the folder that it would have. reported: whether the next one is its report."""
    if any(argument.startswith(("--help", "--cfg", "--info", "--version")) for argument in arguments):
        return arguments
    words = [re.sub(r"range\(\d+\)", "range(2)", re.sub(r"^rounds=\d+$", "rounds=2", argument)) for argument in arguments]
    given = {argument.partition("=")[0] for argument in words}
    extra = [one for one in SHORT if one.partition("=")[0] not in given - {"data.train_pairs"}]
    if "rounds=auto" in words:
        extra += ["auto.batch=8", "auto.max=8"]
    sweep = next((argument.partition("=")[2] for argument in words if argument.startswith("+sweeps=")), "")
    extra += FEW.get(sweep, [])
    if sweep and "hydra.sweep.dir" not in given:
        study = next((argument.partition("=")[2] for argument in words if argument.startswith("hydra.sweeper.study_name=")), "")
        extra.append(f"hydra.sweep.dir=outputs/{sweep}{'-' if study else ''}{study}")
    if sweep.startswith("search") or any(argument.startswith("hydra/sweeper") for argument in words):
        words = [argument for argument in words if not argument.startswith("hydra.sweeper.n_trials")]
        extra += ["data.val_pairs=20", "hydra.sweeper.n_trials=2", "rounds=2"]
        words = [argument for argument in words if not argument.startswith(("data.val_pairs", "rounds="))]
        if "hydra/sweeper=optuna" not in words:
            extra += ["hydra.sweeper.finalists=2", "hydra.sweeper.finalist_rounds=1"]
            extra += ["hydra.sweeper.confirm=2"] * ("hydra.sweeper.confirm=0" not in words)
    elif sweep and "rounds" not in given:
        extra += ["rounds=2", *(["report=false"] if reported else [])]
    return [*words, *extra]


def existing(argument: str) -> str:
    """A folder that a page names; its name has more in it where its command was shortened."""
    path = Path(argument)
    among = path.parent.glob("*") if "=" in path.name and not path.exists() else ()
    found = [folder for folder in among if path.name in folder.name.split(",")]
    return str(found[0]) if found else argument


@needs_mnist
@pytest.mark.usefixtures("in_their_own_folders")
@pytest.mark.parametrize("page", [page for page in PAGES if page not in ("docs/cluster.md", "docs/slurm.md")])
def test_commands_run(
    page: str, run_cli: Callable[..., Ended], run_main: Callable[..., Ended], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each ends as it should, after those that stand before it."""
    prepare(page, tmp_path, monkeypatch)
    commands = list(commands_of(page))
    for number, (module, *arguments) in enumerate(commands, 1):
        reported = commands[number : number + 1] and commands[number][0].startswith("digitcmp.report")
        if module == "digitcmp":
            ended = run_cli(*shortened(arguments, bool(reported)))
        else:
            ended = run_main(MAINS[module], *map(existing, arguments))
        enough = (0, 2) if module == "digitcmp.verify" else (0,)  # 2: too few rounds to tell
        assert ended.code in enough, f"{module} {shlex.join(arguments)}\n{ended.out[-500:]}\n{ended.err}"


def prepare(page: str, folder: Path, patch: pytest.MonkeyPatch) -> None:
    """The files that a page tells its reader to write, each named in the line before its block; images where it is about one's own."""
    if page == "docs/data.md":
        (folder / "mine").mkdir()
        make("folder", folder / "mine", patch)
        make("npz", folder, patch)
        (folder / "own.npz").rename(folder / "mine.npz")
    for name, text in re.findall(
        r"^`(my_conf/[\w/]+\.yaml)`[^\n]*\n\n```yaml\n(.*?)^```", (ROOT / page).read_text(), re.MULTILINE | re.DOTALL
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def test_commands_are_found() -> None:
    """The pages have commands, and what is run elsewhere is little."""
    found = {page: list(commands_of(page)) for page in PAGES}
    assert sum(map(len, found.values())) > 40
    assert all(found[page] for page in ("README.md", "docs/first_steps.md", "docs/paper.md", "docs/network.md", "docs/searching.md"))
