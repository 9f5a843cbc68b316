"""Rounds that are trained again: what is true is reproduced, what was changed is found, and what cannot be said is said so."""

import gzip
import json
import re
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from digitcmp.experiment.about import read_about
from digitcmp.experiment.progress import ProgressDisplay
from digitcmp.experiment.published import write_published
from digitcmp.train.results import RoundResult
from digitcmp.verify import cli as command
from digitcmp.verify.draw import draw
from digitcmp.verify.output import LIKE
from digitcmp.verify.retrain import config_of
from tests.conftest import Ended, compose_config
from tests.experiment.made import change_configuration, change_records, logs_of, records_of, train_run

SMALL = ("epochs=2", "data.train_pairs=200", "data.test_pairs=100", "rounds=3", "engine=serial")
Verify = Callable[..., Ended]
Change = Callable[[Path], object]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sweep of two configurations, three rounds each."""
    folder = tmp_path_factory.mktemp("trained")
    for name, options in {
        "a": ["model=net1"],
        "b": ["model=wsn", "aux_weight=1", "optimizer=sgd", "scheduler=cosine", "test_every=2"],
    }.items():
        train_run(compose_config(*SMALL, *options), folder / name)
    return folder


@pytest.fixture
def sweep(trained: Path, tmp_path: Path) -> Path:
    """A copy of it to be changed."""
    return shutil.copytree(trained, tmp_path / "sweep")


@pytest.fixture
def verify(run_main: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Verify:
    """Run `python -m digitcmp.verify` in this process; nothing of the temporary folder may stay."""
    monkeypatch.setenv("COLUMNS", "80")
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))

    def run(*arguments: str | Path) -> Ended:
        ended = run_main(command.main, *arguments)
        assert not list(folder.glob("digitcmp-*"))
        return ended

    return run


def files(folder: Path) -> dict[Path, bytes]:
    """All files of a folder."""
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def said(ended: Ended) -> str:
    """What was printed, without the breaks of lines."""
    return " ".join(ended.out.split())


def test_what_is_true_is_reproduced(verify: Verify, trained: Path) -> None:
    """Each configuration on its own; the folder stays as it is; so many rounds show so much; it all fits 80 columns."""
    before = files(trained)
    ended = verify(trained, "--rounds", "2", "--seed", "4")
    assert (ended.code, ended.err) == (0, "")
    assert [line.split() for line in ended.out.splitlines() if "reproduced" in line] == [
        [label, "2", "of", "3", "reproduced", "all", "epochs,", "to", "the", "last", "digit"] for label in ("net1", "wsn")
    ]
    assert "training 4 rounds of 6 again (drawn by --seed 4); on record they took" in ended.out
    assert "None of 4 rounds trained again differs from its record. Of all 6 on record, no more than 52.7 % differ" in said(ended)
    assert max(map(len, ended.out.splitlines())) <= 80
    assert files(trained) == before
    again = verify(trained, "--rounds", "2", "--seed", "4")
    seeds, seeds_again = ([line.split()[3] for line in one.out.splitlines() if line.startswith("round ")] for one in (ended, again))
    assert sorted(seeds) == ["1", "1", "2", "2"]
    assert seeds == seeds_again


def epochs_changed(result: RoundResult, **values: Any) -> RoundResult:
    """A round with other values in its last epoch, and in its row."""
    return replace(result, row=replace(result.row, **values), epochs=[*result.epochs[:-1], replace(result.epochs[-1], **values)])


def last_digit(folder: Path) -> None:
    """One digit of one loss is another one, with a valid checksum, in the epoch and in the round."""

    def change(one: RoundResult) -> RoundResult:
        return epochs_changed(one, train_loss=one.row.train_loss * (1 + 3e-7)) if one.row.seed == 1 and one.row.train_loss else one

    change_records(folder / "a", change)


def swapped(folder: Path) -> None:
    """What seed 0 came to is on record as seed 2, and the other way round."""

    def change(one: RoundResult) -> RoundResult:
        seed = {0: 2, 2: 0}.get(one.row.seed, one.row.seed)
        rows: list[Any] = [[replace(row, seed=seed) for row in part] for part in (one.epochs, one.distances)]
        return RoundResult(replace(one.row, seed=seed), *rows)

    change_records(folder / "a", change)


def other_rate(folder: Path) -> None:
    """The run says that it was trained with another learning rate than it was."""
    change_configuration(folder / "a", lambda configuration: configuration["optimizer"].update(lr=0.0011))


def lengthened(folder: Path) -> None:
    """The run says that it was trained for more epochs than it was."""
    change_configuration(folder / "a", lambda configuration: configuration.update(epochs=3))


FORGED: dict[Change, str] = {
    last_digit: "seed 1, epoch 2: train_loss",
    swapped: "seed 0, epoch 1: train_loss",
    other_rate: "seed 0, epoch 1: train_loss",
    lengthened: "seed 0, epoch 3: trained now, not on record",
}


@pytest.mark.parametrize("forge", FORGED, ids=lambda forge: forge.__name__)
def test_what_was_changed_is_found(forge: Change, verify: Verify, sweep: Path) -> None:
    """And named, in the configuration that it belongs to."""
    forge(sweep)
    ended = verify(sweep, "--rounds", "3")
    assert (ended.code, ended.err) == (1, "")
    assert FORGED[forge] in said(ended)
    assert [line.split()[4] for line in ended.out.splitlines() if " 3 of 3 " in line] == ["different", "reproduced"]
    assert "of 6 rounds trained again" in said(ended)


@pytest.mark.parametrize("forge", [swapped, other_rate], ids=lambda forge: forge.__name__)
def test_and_by_another_executor(forge: Change, verify: Verify, sweep: Path) -> None:
    """Where the last digits say nothing, the test pairs and the losses of the first epoch do."""
    forge(sweep)
    ended = verify(sweep / "a", "--rounds", "3", "--engine", "stacked")
    assert ended.code == 1
    assert "seed 0, epoch 1: train_loss" in said(ended) or "seed 0, majority_accuracy" in said(ended)
    assert "need not be equal to the last digit: engine serial -> stacked" in said(ended)


def test_a_round_that_contradicts_its_epochs(verify: Verify, sweep: Path) -> None:
    """Is found whether it is drawn or not: the numbers that a table is made of are those of the rounds."""

    def better(one: RoundResult) -> RoundResult:
        return replace(one, row=replace(one.row, test_accuracy=0.99)) if one.row.seed == 2 else one

    change_records(sweep / "b", better)
    for seed in range(2):
        ended = verify(sweep / "b", "--rounds", "1", "--seed", str(seed))
        assert ended.code == 1
        assert "seed 2: its record says test_accuracy 0.99, its last epoch 0." in said(ended)


def test_a_best_that_no_epoch_has(sweep: Path) -> None:
    """Is found, drawn or not; a status that there is not makes its line a damaged one, and its round one that cannot be read."""
    assert draw(sweep / "b", 1, 0).contradictions == {}
    change_records(sweep / "b", lambda one: replace(one, row=replace(one.row, best_accuracy=0.99)) if one.row.seed == 2 else one)
    (told,) = draw(sweep / "b", 1, 0).contradictions.values()
    assert told.startswith("seed 2: its record says best_accuracy 0.99, the best of its epochs 0.")
    change_records(sweep / "b", lambda one: replace(one, row=replace(one.row, status="well")) if one.row.seed == 2 else one)  # type: ignore[arg-type]
    drawn = draw(sweep / "b", 1, 0)
    assert not drawn.contradictions
    (told,) = drawn.reasons.values()
    assert re.fullmatch(r"\d+ of \d+ rounds on record; records/.*, line \d+, is damaged; its round is left out", told)


def test_a_run_without_its_file(trained: Path, tmp_path: Path) -> None:
    """Is told, and counts as one that cannot be read: nobody may think that all were verified."""
    shutil.copytree(trained, tmp_path / "s")
    assert draw(tmp_path / "s", 1, 0).unread == 0
    (tmp_path / "s" / "b" / "run.json").unlink()
    drawn = draw(tmp_path / "s", 1, 0)
    assert drawn.unread == 1
    assert f"{tmp_path}/s/b holds rounds.csv, and no run.json that says of what; it is left out" in drawn.sweep.warnings


def test_on_which_device_a_round_is_trained_again(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A CPU's on a CPU; that of a GPU of Apple's on one, which device=auto never takes; any other wherever there is one."""
    about = read_about(trained / "a")
    for there, devices in ((True, ["cpu", "mps", "auto"]), (False, ["cpu", "auto", "auto"])):
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda there=there: there)
        used = [config_of(trained / "a", {**about, "device": name}, 0, None, None).device for name in ("cpu", "mps", "cuda")]
        assert used == devices


def test_stacked_is_consistent_with_serial(verify: Verify, tmp_path: Path) -> None:
    """Rounding apart, they are the same rounds: accuracies are equivalent."""
    train_run(compose_config(*SMALL, "rounds=8", "model=net1"), tmp_path / "run")
    ended = verify(tmp_path / "run", "--rounds", "8", "--engine", "stacked", "--margin", "1")
    assert ended.code == 0
    assert "8 of 8 consistent +0.00 points (" in said(ended)
    assert "two one-sided signed-rank tests (Schuirmann 1987)" in said(ended)
    assert re.search(r"All rounds on record were trained again\. (\d of )?8 rounds trained again", said(ended))
    assert f"have {LIKE}" in said(ended)


def test_few_rounds_by_another_executor_are_too_few(verify: Verify, sweep: Path) -> None:
    """Three pairs cannot show that they are equivalent, unless they are equal to the last digit."""
    ended = verify(sweep / "a", "--rounds", "3", "--engine", "stacked")
    assert ended.code == 2
    assert "3 of 3 too few" in said(ended)


def test_another_platform_need_not_be_equal(verify: Verify, sweep: Path) -> None:
    """But is told of, and what is equal nevertheless is reproduced; records of earlier versions do not name theirs."""
    about = json.loads((sweep / "a" / "run.json").read_text())
    about["platform"]["device_name"] = "another one"
    (sweep / "a" / "run.json").write_text(json.dumps(about))
    about = json.loads((sweep / "b" / "run.json").read_text())
    del about["platform"]
    (sweep / "b" / "run.json").write_text(json.dumps(about))
    ended = verify(sweep, "--rounds", "1")
    assert (ended.code, ended.out.count("reproduced")) == (0, 2)
    assert "need not be equal to the last digit: platform.device_name another one -> " in said(ended)
    assert "need not be equal to the last digit: run.json does not say on which platform" in said(ended)
    last_digit(sweep)
    assert verify(sweep / "a", "--rounds", "3").code == 2


def test_a_published_result_is_verified(verify: Verify, sweep: Path, tmp_path: Path) -> None:
    """From its CSV files alone; a digit that is altered there is found."""
    target = tmp_path / "result" / "runs" / "a"
    write_published(target, read_about(sweep / "a"), records_of(sweep / "a"))
    assert verify(tmp_path / "result", "--rounds", "3").code == 0
    text = gzip.decompress((target / "epochs.csv.gz").read_bytes()).decode()
    loss = text.splitlines()[1].split(",")[2]
    altered = text.replace(loss, loss[:-1] + str((int(loss[-1]) + 1) % 10))
    (target / "epochs.csv.gz").write_bytes(gzip.compress(altered.encode()))
    ended = verify(tmp_path / "result", "--rounds", "3")
    assert ended.code == 1
    assert "seed 0, epoch 1: train_loss" in said(ended)


def test_rounds_that_were_left_out_of_a_published_result(verify: Verify, sweep: Path, tmp_path: Path) -> None:
    """run.json names its seeds: whoever leaves a bad one out is found, though what is left comes out again."""
    target = tmp_path / "result" / "runs" / "a"
    write_published(target, read_about(sweep / "a"), records_of(sweep / "a"))
    lines = (target / "rounds.csv").read_text().splitlines()
    (target / "rounds.csv").write_text("\n".join([*lines[:-1], ""]))
    ended = verify(tmp_path / "result", "--rounds", "1")
    assert ended.code == 1
    assert "2 of 3 rounds on record" in said(ended)


def test_a_run_that_cannot_be_read_is_not_verified(verify: Verify, sweep: Path) -> None:
    """Exit code 2, though what could be read is reproduced."""
    (sweep / "a" / "run.json").write_text("{")
    ended = verify(sweep, "--rounds", "1")
    assert ended.code == 2
    assert "reproduced" in said(ended)
    assert "it is left out" in said(ended)


def no_log(log: Path) -> None:
    """A folder in its place."""
    log.unlink()
    log.mkdir()


def short_log(log: Path) -> None:
    """The end of its last line is missing."""
    log.write_bytes(log.read_bytes()[:-50])


def another_log(log: Path) -> None:
    """Something that is no log beside it: nothing is missing."""
    log.with_name("20000101T000000-aaaaaaaa.jsonl").mkdir()


@pytest.mark.parametrize(
    ("spoil", "code", "told"),
    [
        (no_log, 2, ["not trained", "0 of 3 rounds on record; records/", "cannot be read: Is a directory", "reproduced"]),
        (short_log, 2, ["reproduced", "others not trained: 2 of 3 rounds on record; records/", "line 3, is not whole"]),
        (another_log, 0, ["reproduced", "cannot be read: Is a directory"]),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_rounds_that_cannot_be_read_differ_from_nothing(
    spoil: Callable[[Path], None], code: int, told: list[str], verify: Verify, sweep: Path
) -> None:
    """They are not verified, which is said, with the reason; the others get their verdicts."""
    (log,) = (sweep / "a" / "records").glob("*.jsonl")
    spoil(log)
    ended = verify(sweep, "--rounds", "3")
    assert ended.code == code, ended.out + ended.err
    assert "different" not in said(ended)
    everything = "".join((ended.out + ended.err).split())
    for part in told:
        assert "".join(part.split()) in everything, (part, ended.out, ended.err)


def test_nothing_of_conf_is_needed(verify: Verify, sweep: Path) -> None:
    """A network is on record whole: it may have another name by now, or none. So are older runs, which lack keys that came later."""

    def older(configuration: dict[str, Any]) -> None:
        configuration["model"]["name"] = "gone"
        del configuration["tta_shift"], configuration["optimizer"]["betas"]

    change_configuration(sweep / "a", older)
    ended = verify(sweep / "a", "--rounds", "1")
    assert ended.code == 0
    assert "gone" in ended.out


def test_rounds_that_diverged_are_reproduced(verify: Verify, tmp_path: Path) -> None:
    """They are results, too; rounds that broke before their first epoch are not drawn, and that is said."""
    train_run(compose_config(*SMALL, "model=net1", "optimizer=sgd", "optimizer.lr=1e6"), tmp_path / "run")
    assert all(record.row.status == "failed" and record.epochs for record in records_of(tmp_path / "run"))

    def broke(one: RoundResult) -> RoundResult:
        return RoundResult(replace(one.row, epochs=0, error="killed")) if one.row.seed == 2 else one

    change_records(tmp_path / "run", broke)
    ended = verify(tmp_path / "run")
    assert ended.code == 0
    assert "2 of 2 reproduced" in said(ended)
    assert "failed before their first epoch, so that they were not drawn: net1 (1 round)" in said(ended)


def test_rounds_that_were_not_tested(verify: Verify, tmp_path: Path) -> None:
    """As in a search: they are verified by their validation pairs, and the test pairs stay unseen."""
    train_run(compose_config(*SMALL, "rounds=2", "model=net1", "test=false", "data.val_pairs=50"), tmp_path / "run")
    assert "2 of 2 reproduced" in said(verify(tmp_path / "run"))
    ended = verify(tmp_path / "run", "--engine", "stacked")
    assert ended.code in (0, 2)
    assert "different" not in ended.out.split("Consistent:")[0]


def test_ctrl_c_leaves_nothing(verify: Verify, trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The temporary folder is removed (as after every other end)."""

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(ProgressDisplay, "on_epoch", interrupt)
    ended = verify(trained)
    assert ended.code == 130
    assert ended.err == "\ndigitcmp: interrupted; the folder is as it was, and nothing else was kept\n"


def without_epochs(folder: Path) -> None:
    """The records have rounds alone."""
    for name in "ab":
        change_records(folder / name, lambda one: replace(one, epochs=[]))


def all_broken(folder: Path) -> None:
    """No round came through an epoch."""
    for name in "ab":
        change_records(folder / name, lambda one: RoundResult(replace(one.row, status="failed", epochs=0, error="killed")))


def no_records(folder: Path) -> None:
    """The logs are gone, and the views of them."""
    for name in "ab":
        for path in [*logs_of(folder / name), folder / name / "rounds.csv"]:
            path.unlink()


def change_about(run: Path, **values: object) -> None:
    """Other values of its run.json."""
    about = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps({**about, **values}))


def other_schema(run: Path) -> None:
    """A later version had a key that this one does not know."""
    change_configuration(run, lambda configuration: configuration["model"].update(depth=7))


def other_choice(run: Path) -> None:
    """A later version had a column that this one does not know."""
    change_configuration(run, lambda configuration: configuration.update(columns=["outline"]))


def no_data(run: Path) -> None:
    """The data set is one that this version does not have."""
    change_configuration(run, lambda configuration: configuration["data"].update(source="letters"))


def data_gone(run: Path) -> None:
    """The data set is not where it was."""
    change_configuration(run, lambda configuration: configuration["data"].update(source="npz"))
    change_about(run, data_root="/proc/nowhere/mine.npz")


def bad_engine(run: Path) -> None:
    """Trained by an executor that this version does not have."""
    change_about(run, engine="abacus")


BAD: dict[Change, str] = {
    without_epochs: "has rounds on record, but no epochs of them",
    all_broken: "all of its 6 rounds failed before their first epoch",
    no_records: "no round is on record yet",
}
CANNOT = "this version cannot train its configuration"
UNTRAINABLE: dict[Change, str] = {
    other_schema: f"{CANNOT} (model.depth: Key 'depth' not in 'ModelConfig'); use the one that made it",
    other_choice: f"{CANNOT} (columns[0]=outline: choose one of plain, moments)",
    no_data: "data.source=letters",
    data_gone: "/proc/nowhere/mine.npz, the data that this run was trained on, is not there any more; say where it is now with --root",
    bad_engine: f"{CANNOT} (engine=abacus: choose one of auto, serial, processes, stacked, ray)",
}


def spoil_all(spoil: Change) -> Change:
    """The same of a sweep's two runs."""

    def change(folder: Path) -> None:
        for name in "ab":
            spoil(folder / name)

    return change


ALL = {**BAD, **{spoil_all(spoil): told for spoil, told in UNTRAINABLE.items()}}


@pytest.mark.parametrize(("spoil", "told"), ALL.items(), ids=[spoil.__name__ for spoil in (*BAD, *UNTRAINABLE)])
def test_bad_folders_are_refused_in_one_line(spoil: Change, told: str, verify: Verify, sweep: Path) -> None:
    """Nothing is trained and nothing written."""
    spoil(sweep)
    before = files(sweep)
    ended = verify(sweep)
    assert (ended.code, ended.err.count("\n")) == (2, 1)
    assert told in ended.err
    assert "round 1" not in ended.out
    assert files(sweep) == before


@pytest.mark.parametrize("spoil", UNTRAINABLE, ids=lambda spoil: spoil.__name__)
def test_what_cannot_be_trained_again_does_not_keep_others_from_it(spoil: Change, verify: Verify, sweep: Path) -> None:
    """They get their verdict, it gets the reason, and the exit code says that not all was verified."""
    spoil(sweep / "b")
    ended = verify(sweep, "--rounds", "2")
    assert ended.code == 2, ended.out + ended.err
    for part in ("2 of 3 reproduced", "not trained", "Of all 3 on record"):
        assert part in said(ended)
    assert "".join(UNTRAINABLE[spoil].split()) in "".join(ended.out.split()), "broken into lines, in a column of its own"


def test_some_rounds_of_a_configuration_cannot_be_trained_again(verify: Verify, sweep: Path) -> None:
    """The others decide, and the verdict says so."""
    shutil.copytree(sweep / "a", sweep / "c")
    change_records(sweep / "c", lambda one: replace(one, row=replace(one.row, seed=one.row.seed + 3)))
    change_about(sweep / "c", seeds=[3, 4, 5], engine="abacus")
    ended = verify(sweep, "--rounds", "6", "--seed", "1")
    assert ended.code == 2, ended.out + ended.err
    assert "3 of 6 reproduced" in said(ended), ended.out + ended.err
    assert "others not trained" in said(ended)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--rounds", "0"], "--rounds=0: must be a whole number, at least 1"),
        (["--seed", "-1"], "--seed=-1: must be a whole number, at least 0"),
        (["--margin", "0"], "--margin=0: must be a number of points above 0"),
        (["--margin", "nan"], "--margin=nan: must be a number of points above 0"),
    ],
)
def test_bad_arguments_are_refused_in_one_line(arguments: list[str], told: str, verify: Verify, trained: Path) -> None:
    """As everywhere, but with the exit code of nothing verified: 1 would say that something is different."""
    ended = verify(trained, *arguments)
    assert (ended.code, ended.out, ended.err.count("\n")) == (2, "", 1)
    assert told in ended.err


def test_folders_without_runs(verify: Verify, tmp_path: Path) -> None:
    """Empty, or not there."""
    (tmp_path / "empty").mkdir()
    assert "holds no run" in verify(tmp_path / "empty").err
    assert "there is no such folder" in verify(tmp_path / "nowhere").err


def test_trials_that_were_pruned_are_nothing_to_verify(verify: Verify, sweep: Path) -> None:
    """Before their first round was over: there is no verdict on them, and none is missing."""
    shutil.copytree(sweep / "b", sweep / "c")
    shutil.rmtree(sweep / "c" / "records")
    change_configuration(sweep / "c", lambda configuration: configuration["optimizer"].update(lr=0.123))
    change_about(sweep / "c", status="pruned")
    ended = verify(sweep, "--rounds", "1", "--seed", "1")
    assert ended.code == 0, ended.out + ended.err
    assert "too few" not in ended.out


def test_missing_data(verify: Verify, sweep: Path, tmp_path: Path) -> None:
    """A data set that is not on this machine, and cannot be put there."""
    change_configuration(sweep / "b", lambda configuration: configuration["data"].update(source="mnist"))
    (tmp_path / "file").write_text("no folder")
    ended = verify(sweep / "b", "--root", tmp_path / "file")
    assert (ended.code, ended.err.count("\n")) == (2, 1)
    assert "file" in ended.err
