"""A named sweep's folder belongs to that sweep, a study's folder to that study."""

import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import ROOT, Ended

Cli = Callable[..., Ended]
TINY = ["epochs=2", "batch_size=20", "data.train_pairs=60", "data.val_pairs=20", "data.test_pairs=20", "engine=serial"]
SEARCH = ["--multirun", *TINY, "hydra.sweeper.n_trials=2", "report=false"]


def folders() -> list[str]:
    """What is in outputs/, in the present folder."""
    return sorted(path.name for path in Path("outputs").iterdir())


def test_a_changed_sweep_goes_elsewhere(run_cli: Cli) -> None:
    """Overrides that change configurations, not those that only add rounds or say how; the dry run says the same folder."""
    sweep = ["--multirun", "+sweeps=smoke", "report=false", "engine=serial"]
    for more in (["epochs=1", "data.train_pairs=100"], ["epochs=1", "data.train_pairs=100", "rounds=1", "model=net1"]):
        planned = run_cli(*sweep, *more, "dry_run=true")
        assert planned.code == 0, planned.err
        (said,) = re.findall(r"a folder of its own: (\S+)", planned.out)
        assert said.startswith("outputs/smoke-data.train_pairs=100,epochs=1")
        assert "dry_run" not in said
    ended = run_cli(*sweep, *more)
    assert ended.code == 0, ended.err
    assert len(list(Path(said).glob("*/rounds.csv"))) == 1
    assert "1 round is finished already, 0 to train" in run_cli(*sweep, *more).out
    assert "smoke" not in [name for name in folders() if any(Path("outputs", name).glob("*/run.json"))]


def test_more_rounds_stay_in_the_folder_and_a_given_folder_is_taken(run_cli: Cli) -> None:
    """rounds and seed change no configuration; hydra.sweep.dir is an answer to the question where."""
    for more in (["rounds=1"], ["seed=7"], ["hydra.sweep.dir=here", "epochs=1"]):
        ended = run_cli("--multirun", "+sweeps=smoke", "dry_run=true", *more)
        assert ended.code == 0, ended.err
        assert "folder of its own" not in ended.out
    assert not Path("outputs").exists()
    assert not Path("here").exists()


@pytest.mark.parametrize("sweep", ["smoke", "search_smoke"])
def test_what_changes_nothing_leaves_the_sweep_in_its_folder(run_cli: Cli, sweep: str) -> None:
    """Configurations are compared, not texts: the sweep's own values, defaults, and the same choices in another order or spelling, alone,
    together, and beside a change, which alone names the folder."""

    def own(*more: str) -> list[str]:
        """The folder of its own that a sweep gets."""
        planned = run_cli("--multirun", f"+sweeps={sweep}", "dry_run=true", *more)
        assert planned.code == 0, planned.err
        return re.findall(r"a folder of its own: (\S+)", planned.out)

    same = {
        "smoke": ["epochs=15", "optimizer.lr=0.001", "augment=none", "model=wsn,net2,net1", "optimizer.lr=1e-3", "model.dropout=0,0.0"],
        "search_smoke": ["epochs=6", "rounds=2", "aux_weight=interval(0.0,2.0)", "optimizer=adam,sgd", "model=wsn", "seed=0"],
    }
    changed = {
        "smoke": ["model=net1", "epochs=15,16", "augment=shift"],
        "search_smoke": ["epochs=7", "rounds=3", "aux_weight=interval(0,3)"],
    }
    for text in same[sweep]:
        assert not own(text), text
    assert not own(*same[sweep][:4])
    for text in changed[sweep]:
        assert own(text), text
        assert own(text, same[sweep][-1]) == own(text)


@pytest.mark.parametrize("sweep", ["smoke", "search_smoke"])
def test_one_change_in_several_spellings_has_one_folder(run_cli: Cli, sweep: str) -> None:
    """Numbers and their order are compared, not texts; another change has another folder, and of overrides of which the last one counts,
    the order is part of the change."""

    def own(*more: str) -> str:
        """The folder of its own that a sweep gets."""
        planned = run_cli("--multirun", f"+sweeps={sweep}", "dry_run=true", "batch_size=50", *more)
        assert planned.code == 0, planned.err
        (found,) = re.findall(r"a folder of its own: (\S+)", planned.out)
        return found

    first = own("model.dropout=0.2", "epochs=3")
    for more in (["epochs=3", "model.dropout=2e-1"], ["++model.dropout=.2", "epochs=3"], ["model.dropout=0.20", "epochs=3"]):
        assert own(*more) == first
    assert own("model.dropout=0", "epochs=3") == own("model.dropout=0.0", "epochs=3") != first
    assert own("model.dropout=0.1,0.2") == own("model.dropout=1e-1,2e-1") != own("model.dropout=0.1,0.3")
    assert own("model.dropout=0.2", "epochs=4") != first
    assert own("model.dropout=0.1", "model={dropout:0.2}") != own("model={dropout:0.2}", "model.dropout=0.1")


def test_studies_have_folders_of_their_own(run_cli: Cli) -> None:
    """The first two commands of docs/searching.md: another name is another folder, and the first one's files stay as they are."""
    page = (ROOT / "docs" / "searching.md").read_text()
    _, second = re.findall(r"^python -m digitcmp --multirun (\+sweeps=search_wsn.*?)(?:  +#.*)?$", page, re.MULTILINE)[:2]
    assert "hydra.sweeper.study_name=wide" in second
    small = [*SEARCH, "data=digits", "rounds=1", "hydra.sweeper.confirm=0", "hydra.sweeper.finalists=0", "hydra.sweeper.pruner=none"]
    given = "+sweeps=search_smoke"
    assert run_cli(*small, given, "hydra.sweeper.study_name=narrow").code == 0
    before = Path("outputs/search_smoke-narrow/best.yaml").read_bytes()
    changed = run_cli(*small, given, "optimizer.lr=tag(log,interval(0.0005,1))", "hydra.sweeper.study_name=wide")
    assert changed.code == 0, changed.err
    assert folders() == ["search_smoke-narrow", "search_smoke-wide"]
    assert Path("outputs/search_smoke-narrow/best.yaml").read_bytes() == before
    unnamed = run_cli(*small, given, "optimizer.lr=tag(log,interval(0.0002,1))")
    assert unnamed.code == 0, unnamed.err
    (third,) = set(folders()) - {"search_smoke-narrow", "search_smoke-wide"}
    assert re.fullmatch(r"search_smoke-[0-9a-f]{8}", third)
    assert run_cli("--config-dir", "outputs", f"+{third}=best", "--cfg", "job").code == 0  # as its best.yaml says


def test_what_is_advised_about_studies_works(run_cli: Cli) -> None:
    """Another space in the same study, another study in the same folder: each advice is followed, and leads on."""
    ours = [*SEARCH, "hydra/sweeper=digitcmp_optuna", "hydra.sweeper.pruner=none"]
    space, other = "optimizer.lr=interval(0.001,0.1)", "optimizer.lr=interval(0.001,0.2)"
    assert run_cli(*ours, space, "hydra.sweep.dir=out").code == 0
    best = Path("out/best.yaml").read_bytes()
    refused = run_cli(*ours, other, "hydra.sweep.dir=out")
    assert refused.code == 1
    assert refused.err.endswith("; choose another hydra.sweep.dir\n")
    assert run_cli(*ours, other, "hydra.sweep.dir=out2").code == 0
    refused = run_cli(*ours, other, "hydra.sweep.dir=out", "hydra.sweeper.study_name=two")
    assert refused.code == 1
    assert (
        "out holds the trials of the study out, not of two; choose another hydra.sweep.dir, or hydra.sweeper.study_name=out" in refused.err
    )
    assert Path("out/best.yaml").read_bytes() == best
    assert run_cli(*ours, other, "hydra.sweep.dir=out3", "hydra.sweeper.study_name=two").code == 0
    refused = run_cli(*ours, space, "hydra.sweep.dir=out3", "hydra.sweeper.study_name=two")
    assert "choose another hydra.sweeper.study_name, and another hydra.sweep.dir where that is given" in refused.err
    assert run_cli(*ours, space, "hydra.sweep.dir=out4", "hydra.sweeper.study_name=three").code == 0
    assert run_cli(*ours, space, "hydra.sweep.dir=out", "hydra.sweeper.study_name=out").code == 0  # to go on with it


def test_a_changed_sweep_does_not_join_its_own(run_cli: Cli, tmp_path: Path) -> None:
    """Where it was told to go into the named sweep's own folder, however that is spelt: refused, and what is advised works."""
    sweep = ["--multirun", "+sweeps=smoke", "dry_run=true"]
    for folder in ("outputs/smoke", "./outputs/x/../smoke", str(tmp_path / "outputs" / "smoke")):
        refused = run_cli(*sweep, "epochs=2", f"hydra.sweep.dir={folder}")
        assert refused.code == 1
        assert refused.err.startswith(f"digitcmp: hydra.sweep.dir={folder}: this is the folder of +sweeps=smoke as it is")
        assert refused.err.count("\n") == 1
        assert run_cli(*sweep, "epochs=2", refused.err.split()[-1]).code == 0
        assert run_cli(*sweep, "rounds=7", "epochs=15", f"hydra.sweep.dir={folder}").code == 0


def test_studies_of_similar_names_have_folders_of_their_own(run_cli: Cli) -> None:
    """A folder has fewer characters than a name."""
    found = set()
    for name in ("w.i.d", "w-i-d", "w_i_d", "w i d", "w+i+d"):
        ended = run_cli("--multirun", "+sweeps=search_smoke", f"hydra.sweeper.study_name={name}", "dry_run=true")
        assert ended.code == 0, ended.err
        found |= set(re.findall(r"a folder of its own: (\S+)", ended.out))
    assert len(found) == 5
    assert "outputs/search_smoke-w-i-d" in found


def test_a_sweep_and_a_search_do_not_share_a_folder(run_cli: Cli, tmp_path: Path) -> None:
    """Each leaves what the other has left as it was; both go on in their own."""
    sweep = ["--multirun", *TINY, "seed=0,1", "report=false"]
    search = [*SEARCH, "hydra/sweeper=digitcmp_optuna", "optimizer.lr=interval(0.01,0.1)", "hydra.sweeper.confirm=0"]
    assert run_cli(*sweep, "hydra.sweep.dir=a").code == 0
    assert run_cli(*search, "hydra.sweep.dir=b").code == 0
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    for command, folder, kind in ((search, "a", "sweep"), (sweep, "b", "search")):
        refused = run_cli(*command, f"hydra.sweep.dir={folder}")
        assert refused.code == 1
        assert refused.err.startswith(f"digitcmp: hydra.sweep.dir={folder}: this is the folder of a {kind}; choose another one")
        assert refused.err.count("\n") == 1
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    for _ in range(2):  # a name like that of a trial makes no search of a sweep
        assert run_cli(*sweep, "hydra.sweep.dir=c", "hydra.sweep.subdir=trial_of_${seed}").code == 0
    assert run_cli(*sweep, "hydra.sweep.dir=a").code == 0
    assert run_cli(*search, "hydra.sweep.dir=b").code == 0


def test_nothing_else_goes_into_the_folder_of_a_search(run_cli: Cli, tmp_path: Path) -> None:
    """Not below it either, where its report, which is about its trials, would have it; a trial may be trained in its own folder again."""
    search = [*SEARCH, "hydra/sweeper=digitcmp_optuna", "optimizer.lr=interval(0.01,0.1)", "hydra.sweeper.confirm=0", "hydra.sweep.dir=b"]
    assert run_cli(*search).code == 0
    Path("link").symlink_to("b")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    for below in ("b/trial_0000", "b/finalists", "b/mine/deeper", "link/mine"):
        given = f"hydra.sweep.dir={below}"
        for command in (["--multirun", *TINY, "seed=0,1", given], [*search, given]):
            assert_refused(run_cli(*command), f"{given}: this is within b, the folder of a search")
    for below in ("b/finalists", "link/mine"):
        given = f"hydra.run.dir={below}"
        assert_refused(run_cli(*TINY, given), f"{given}: this is within b, the folder of a search")
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    again = Path("b/trial_0000/run.json")
    command = shlex.split(json.loads(again.read_text())["command"])[3:]
    ended = run_cli(*command, f"hydra.run.dir={again.parent}")
    assert (ended.code, ended.err) == (0, "")
    assert "1 round is finished already, 0 to train" in ended.out


def test_what_only_looks_like_a_search_is_none(run_cli: Cli) -> None:
    """A study, or folders called like trials, where other things are, too: above, beside and in the folder of something new."""
    search = [*SEARCH, "hydra/sweeper=digitcmp_optuna", "optimizer.lr=interval(0.01,0.1)", "hydra.sweeper.confirm=0"]
    here = [*search, "hydra.sweeper.storage=sqlite:///study.db", "hydra.sweep.dir=outputs/se"]
    for more in ("hydra.sweeper.n_trials=1", "hydra.sweeper.n_trials=2"):
        assert run_cli(*here, more).code == 0
    Path("trial_1").mkdir()
    assert run_cli(*TINY, "report=false", "hydra.run.dir=outputs/trial_1").code == 0
    for given in (
        ["hydra.run.dir=trial_1/new"],
        ["hydra.run.dir=outputs/two"],
        ["--multirun", "seed=0,1", "hydra.sweep.dir=outputs/three"],
    ):
        ended = run_cli(*TINY, "report=false", *given)
        assert ended.code == 0, ended.err
    assert run_cli(*search, "hydra.sweep.dir=outputs/four").code == 0
    assert_refused(run_cli(*search, "hydra.sweep.dir=outputs"), "hydra.sweep.dir=outputs: there are runs of others below this folder")


def test_many_runs_do_not_go_into_the_folder_of_one(run_cli: Cli) -> None:
    """But for those of a sweep that has all its seeds in its own."""
    assert run_cli(*TINY, "report=false", "hydra.run.dir=one").code == 0
    search = [*SEARCH, "hydra/sweeper=digitcmp_optuna", "optimizer.lr=interval(0.01,0.1)"]
    for command in (["--multirun", *TINY, "seed=0,1"], search):
        assert_refused(run_cli(*command, "hydra.sweep.dir=one"), "hydra.sweep.dir=one: this is the folder of a run")
    for _ in range(2):
        ended = run_cli("--multirun", *TINY, "seed=0,1", "report=false", "hydra.sweep.dir=own", "hydra.sweep.subdir=.")
        assert ended.code == 0, ended.err


def assert_refused(ended: Ended, line: str) -> None:
    """That a command ended with one line, which begins so."""
    assert ended.code == 1
    assert ended.err.startswith(f"digitcmp: {line}")
    assert ended.err.count("\n") == 1
