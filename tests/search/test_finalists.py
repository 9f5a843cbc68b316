"""The final of a search: who is in it, who is dropped, who is picked, and how it goes on."""

import json
import math
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import optuna
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.text import Text
from optuna.distributions import FloatDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial
from scipy import stats

from digitcmp.experiment.about import read_about
from digitcmp.search import figures
from digitcmp.search.best import Confirmed, picked_lines
from digitcmp.search.config import SearchConfig
from digitcmp.search.final_page import final_lines
from digitcmp.search.finalists import Final, Finalist, choose, complete_trials
from digitcmp.search.grammar import make_space
from digitcmp.search.race import FIRST_TEST, RacePruner, loses
from digitcmp.search.spec import BEYOND, SearchSpec
from digitcmp.search.storage import open_storage
from digitcmp.search.study import SharedStudy
from digitcmp.search.summary import confirmed_lines, gained
from digitcmp.search.trial import RunningTrial, TrialSpec
from digitcmp.train.results import EpochRow
from tests.conftest import ROOT, Ended, compose_config
from tests.search.made import study_in

TINY = ["model=net2", "epochs=2", "batch_size=20", "data.train_pairs=60", "data.val_pairs=20", "data.test_pairs=20", "engine=serial"]
OURS = ["--multirun", "hydra/sweeper=digitcmp_optuna", "hydra.sweep.dir=out", *TINY, "rounds=2", "report=false"]
SPACE = ["optimizer.lr=tag(log,interval(0.001,0.1))", "hydra.sweeper.enqueue=[{optimizer.lr:0.01}]"]
FINAL = ["hydra.sweeper.n_trials=5", "hydra.sweeper.finalists=3", "hydra.sweeper.finalist_rounds=2"]
SEEDS = [BEYOND, BEYOND + 1]
Cli = Callable[..., Ended]
DISTRIBUTION = {"optimizer.lr": FloatDistribution(0.001, 1.0, log=True)}


def trial(number: int, value: float | None = None) -> FrozenTrial:
    """A complete trial, numbered by its place in a study."""
    made = create_trial(value=value or 0.0, params={"optimizer.lr": 0.01 + number / 1000}, distributions=DISTRIBUTION)
    made.number = number
    return made


def finalist(number: int, accuracies: Sequence[float], state: Any = "complete") -> Finalist:
    """A finalist with these accuracies on the seeds 0, 1, …"""
    return Finalist(trial(number, 0.9), state, dict(enumerate(accuracies)))


def test_who_clearly_loses() -> None:
    """Every one of five rounds is enough, fewer never are, and neither is most of the rounds by a little."""
    better, worse = {seed: 0.9 + 0.01 * seed for seed in range(5)}, {seed: 0.88 + 0.005 * seed for seed in range(5)}
    assert loses(worse, better)
    assert not loses(better, worse)
    assert loses(better, worse, sign=-1)
    assert not loses(worse, {seed: better[seed] for seed in range(FIRST_TEST - 1)})
    assert not loses({**worse, 4: 0.99}, better)
    assert not loses(better, better)


def test_one_collapse_does_not_make_a_loser() -> None:
    """Eleven of twelve rounds won by 0.1 to 1.1 points, one lost by 40: a worse mean, and ranks that say the opposite. Neither side
    clearly loses; twelve rounds lost, one of them by 40 points, are a clear loss."""
    won = {seed: 0.9 + 0.001 * (seed + 1) for seed in range(11)}
    other = dict.fromkeys(range(12), 0.9)
    assert stats.wilcoxon([*(won[seed] - 0.9 for seed in range(11)), -0.4], alternative="greater").pvalue < 0.05
    assert not loses({**won, 11: 0.5}, other)
    assert not loses(other, {**won, 11: 0.5})
    assert loses({**{seed: 1.8 - accuracy for seed, accuracy in won.items()}, 11: 0.5}, other)


def test_what_records_leave_out_makes_no_loser() -> None:
    """Eleven of twelve rounds lost by one of 30 pairs, one won by eleven: ranks that say so, and the same mean, which is below the other
    one in eight digits alone."""
    mine, theirs = {**dict.fromkeys(range(11), 0.63333333), 11: 0.7}, {**dict.fromkeys(range(11), 0.66666667), 11: 0.33333333}
    assert sum(mine.values()) < sum(theirs.values())
    assert stats.wilcoxon([*[-1] * 11, 11], alternative="less").pvalue < 0.05
    assert not loses(mine, theirs)
    assert loses({**mine, 11: 0.66666667}, theirs)


@given(st.lists(st.tuples(st.integers(0, 200), st.integers(0, 200)), min_size=1, max_size=12))
def test_nobody_clearly_loses_both_ways(rounds: list[tuple[int, int]]) -> None:
    """Whatever the accuracies."""
    here, there = ({seed: pair[side] / 200 for seed, pair in enumerate(rounds)} for side in (0, 1))
    assert not (loses(here, there) and loses(there, here))
    assert loses(here, there) == loses(there, here, sign=-1)


def test_who_is_picked() -> None:
    """The best mean of all rounds; the incumbent, which comes first, of equal ones; nobody who was dropped or has failed."""
    start, other, lucky = finalist(0, [0.8, 0.9]), finalist(3, [0.9, 0.8]), finalist(7, [0.99], "dropped")
    failed = finalist(5, [], "failed")
    final = Final([0, 1], [start, other, lucky, failed], 4)
    assert final.winner is start
    assert [one.trial.number for one in final.ranking] == [0, 3, 7, 5]
    better = finalist(4, [0.9, 0.9])
    assert Final([0, 1], [start, better], 2).winner is better
    assert Final([0, 1], [start, better], 2, sign=-1).winner is start


def test_the_last_digit_of_a_mean_decides_nothing() -> None:
    """0.9 and 0.8 have a mean of 0.8500000000000001, twice 0.85 one of 0.85: the incumbent stays; equal rounds are no loss either, in as
    many digits as records have."""
    start, other = finalist(0, [0.85, 0.85]), finalist(3, [0.9, 0.8])
    assert other.mean > start.mean
    assert Final([0, 1], [start, other], 2).winner is start
    assert Final([0, 1], [other, start], 2, sign=-1).winner is other
    assert not loses(dict.fromkeys(range(9), 0.9333333), dict.fromkeys(range(9), 0.93333333))


def test_the_table_compares_by_seed() -> None:
    """The winner's lead over each on the seeds that both have."""
    table = Final([0, 1, 2], [finalist(0, [0.8, 0.9, 0.7]), finalist(3, [0.9, 0.95, 0.9]), finalist(4, [0.7, 0.6], "dropped")], 3).table()
    assert list(table["trial"]) == [3, 0, 4]
    assert list(table["rounds"]) == [3, 3, 2]
    assert table["mean"].tolist() == pytest.approx([2.75 / 3, 0.8, 0.65])
    assert pd.isna(table["difference"][0])
    assert list(table["pairs"][1:]) == [3, 2]
    assert list(table["won"][1:]) == [3, 2]
    assert table["difference"][1] == pytest.approx(0.1, abs=0.026)


def test_the_lower_accuracy_wins_where_less_is_better() -> None:
    """Its rounds won are those in which it is lower."""
    table = Final([0, 1, 2], [finalist(0, [0.8, 0.9, 0.7]), finalist(3, [0.7, 0.85, 0.71])], 2, sign=-1).table()
    assert list(table["trial"]) == [3, 0]
    assert table[["won", "tied", "lost"]].iloc[1].tolist() == [2, 0, 1]
    assert table["difference"][1] < 0


def test_figures_show_the_better_trials() -> None:
    """Of many close ones and a hopeless one, whichever way is better; and say what is beyond."""
    values = [*(0.8 + 0.001 * number for number in range(9)), 0.1]
    table = pd.DataFrame({"trial": range(10), "state": "complete", "value": values, "best": values, "parameter": "x", "at": values})
    table = table.assign(text="", log=False)
    low, high = table, table.assign(value=1 - table["value"], best=1 - table["value"])
    for draw in (figures.history, figures.slices):
        for frame, less, hidden, told in ((low, False, 0.1, "below the axis: 1 trial"), (high, True, 0.9, "above the axis: 1 trial")):
            figure = draw(frame, less)
            bottom, top = figure.axes[0].get_ylim()
            assert not bottom <= hidden <= top
            assert all(bottom <= value <= top for value in frame["value"][:9])
            assert told in " ".join(text.get_text() for text in figure.findobj(Text))
        assert draw(high, False).axes[0].get_ylim()[1] > 0.9  # there, it is the best one


def test_the_winners_luck_is_told() -> None:
    """Where it was picked by the rounds that its figures are from, and what gives a fair one; nothing where there was no choice."""
    final = Final([0, 1], [finalist(0, [0.8, 0.9]), finalist(3, [0.9, 0.95])], 2)
    told = "The winner is picked by these rounds, so that its mean and its leads here are too good on average; "
    assert told + "hydra.sweeper.confirm=N gives a fair estimate." in final_lines(final, 0, confirmed=False)
    assert told + "the confirmation gives a fair estimate." in final_lines(final, 0, confirmed=True)
    assert picked_lines(5, final, 0).startswith(
        "Picked by its fresh rounds, so that their mean is too good on average; hydra.sweeper.confirm=N"
    )
    trials = "Picked by these rounds out of 5 complete trials, so that its accuracy is too good on average; "
    assert picked_lines(5, None, 0) == f"{trials}hydra.sweeper.confirm=N gives a fair estimate."
    # given up before that, or in best.yaml, which is written first
    asked = f"{trials}the confirmation (hydra.sweeper.confirm=4), once all trials are through, gives a fair estimate."
    assert picked_lines(5, None, 4) == asked
    assert not picked_lines(1, None, 4)


def test_what_a_confirmation_says_of_its_rounds() -> None:
    """How many are on record, of each where they differ; a validation accuracy beside test ones; fewer training pairs if so."""
    shares = dict.fromkeys(("median", "median_low", "median_high", "mean", "low", "high", "difference"), 0.95)
    row = {**shares, "difference_low": 0.0, "difference_high": 0.02, "pairs": 20, "p": 0.01, "won": 9, "tied": 2, "lost": 9}
    best, start = ({**row, "rounds": rounds - 1, "lost": 1, "all": rounds} for rounds in (20, 50))
    held_out = confirmed_lines(trial(3, 0.9), Confirmed(list(range(3, 53)), True, None, start, start, row, False))
    assert "50 fresh rounds (seeds 3 to 52), as many pairs held out as in the trials, test accuracy." in held_out
    assert "a validation accuracy of 90.00 % for the best, on its own seeds.\n" in held_out
    whole = confirmed_lines(trial(3, 0.9), Confirmed(list(range(3, 53)), False, None, best, start, row, False))
    assert "20 fresh rounds of the best and 50 of the start (seeds 3 to 52), all training pairs, test accuracy." in whole
    assert "on its own seeds and with fewer training pairs.\n" in whole
    apart = confirmed_lines(trial(3, 0.9), Confirmed(list(range(3, 53)), False, None, best, start, None, False))
    assert "They are not compared, as they have other test pairs." in apart
    assert [line.split("|")[1].strip() for line in apart.splitlines() if line.startswith("| ")][-2:] == ["best", "start"]
    same = confirmed_lines(trial(3, 0.9), Confirmed(list(range(3, 53)), False, None, start, start, None, True))
    assert "The best configuration is the one that the search began with." in same
    assert "| start" not in same


def test_failed_rounds_are_told_beside_a_gain() -> None:
    """An infinite one is no riddle then."""
    row = {"difference": 0.01, "difference_low": -0.002, "difference_high": 0.02, "pairs": 20, "done": 20}
    assert gained(row) == "On 20 fresh seeds: +1.00 (-0.20 to +2.00) points over the start"
    lost = {**row, "difference": math.inf, "difference_low": 0.01, "difference_high": math.inf, "done": 3}
    worst = "; a round failed on 17 of them, and counts as worse than any other"
    assert gained(lost) == f"On 20 fresh seeds: +∞ (+1.00 to +∞) points over the start{worst}"


def test_the_history_marks_finalists() -> None:
    """Rings around them, a star around the one that was picked; nothing of the kind without a final."""
    table = pd.DataFrame({"trial": [0, 1, 2], "state": "complete", "value": [0.8, 0.9, 0.85], "best": [0.8, 0.9, 0.9]})
    marked = table.assign(final=pd.array(["picked", "dropped", None], dtype="string"))
    for shown, names in ((table, set()), (marked, {"finalist", "picked in the final"})):
        (axes,) = figures.history(shown).axes
        drawn = {str(points.get_label()): points.get_offsets().tolist() for points in axes.collections}
        assert {name for name in drawn if "final" in name} == names
    assert (drawn["finalist"], drawn["picked in the final"]) == ([[1.0, 0.9]], [[0.0, 0.8]])


def test_legends_name_what_is_drawn() -> None:
    """No pruned trials where there are none; where only a panel behind the first one has them, the legend of all panels names them."""
    table = pd.DataFrame({"trial": [0, 1, 2], "state": "complete", "value": [0.8, 0.9, 0.85], "best": [0.8, 0.9, 0.9]})
    states = [["complete"] * 4, ["complete"] * 2 + ["pruned"] * 2]
    panels = pd.DataFrame(
        {"parameter": ["a", "a", "b", "b"], "at": [1.0, 2] * 2, "text": "", "log": False, "value": 0.9, "trial": [0, 1, 2, 3]}
    )
    drawn = [figures.history(table), *(figures.slices(panels.assign(state=state)) for state in states)]
    drawn.append(figures.history(table.assign(state=["pruned", "complete", "complete"])))
    named = [[text.get_text() for text in figure.legends[0].get_texts()] for figure in drawn]
    pruned = "pruned (last value)"
    assert [sorted(one) for one in named] == [
        ["best so far", "complete"],
        ["complete"],
        ["complete", pruned],
        ["best so far", "complete", pruned],
    ]


def spec_of(finalists: int, start: float | None) -> SearchSpec:
    """A search over learning rates."""
    enqueue = [] if start is None else [{"optimizer.lr": start}]
    settings, space = SearchConfig(finalists=finalists, enqueue=enqueue), make_space({"optimizer.lr": "tag(log,interval(0.001,1))"}, [])
    return SearchSpec(settings, space, {"optimizer.lr": start or 0.001}, compose_config("data.val_pairs=200", "test=false"), Path())


def chosen(values: Sequence[tuple[float, float | None]], finalists: int, start: float | None) -> list[int]:
    """Which of these trials, (learning rate, value or None for a pruned one at 0.1), are in a final."""
    with open_storage("journal:///study") as storage:
        study = optuna.create_study(storage=storage.backend, direction="maximize")
        for rate, value in values:
            state = TrialState.PRUNED if value is None else TrialState.COMPLETE
            made = {"params": {"optimizer.lr": rate}, "distributions": DISTRIBUTION, "state": state}
            study.add_trial(create_trial(value=0.1 if value is None else value, **made))
        return [one.number for one in choose(spec_of(finalists, start), SharedStudy(storage, study, SearchConfig()))]


def best_of(values: Sequence[tuple[float, float]]) -> int:
    """The best of these trials where there is no final."""
    with open_storage("journal:///best") as storage:
        study = optuna.create_study(storage=storage.backend, direction="maximize")
        for rate, value in values:
            study.add_trial(create_trial(value=value, params={"optimizer.lr": rate}, distributions=DISTRIBUTION))
        return complete_trials(spec_of(0, None), SharedStudy(storage, study, SearchConfig()))[0].number


def test_who_is_in_a_final(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The incumbent first, also where it was pruned; then the best complete trials, the same point once."""
    monkeypatch.chdir(tmp_path)
    trials = [(0.1, None), (0.2, 0.5), (0.3, 0.9), (0.4, None), (0.3, 0.8), (0.5, 0.7)]
    assert chosen(trials, 3, 0.1) == [0, 2, 5]
    assert chosen(trials, 3, None) == [2, 5, 1]
    assert chosen(trials, 3, 0.3) == [2, 5, 1]
    assert chosen(trials, 8, 0.1) == [0, 2, 5, 1]
    equal = [(0.1, 0.85), (0.2, 0.85), (0.3, 0.8500000000000001)]
    assert chosen(equal, 3, 0.2) == [1, 0, 2]
    assert best_of(equal) == 0


def test_a_finalist_is_dropped_when_its_fifth_round_is_on_record() -> None:
    """With the next epoch; one that is as good is not, and the incumbent neither."""
    seeds = list(range(8))
    study, spec = optuna.create_study(direction="maximize", pruner=RacePruner(seeds, 1)), TrialSpec(seeds, 2, True, 0)

    def train(accuracy: Callable[[int], float]) -> int:
        running = RunningTrial(study, study.ask(), spec, set())
        for seed in seeds:
            for epoch in (1, 2):
                if not running.on_epoch(EpochRow(seed, epoch, 1.0, 0.5, None, None, accuracy(seed), 0.1)):
                    study.tell(running.trial, state=TrialState.PRUNED)
                    return len(running.values)
        study.tell(running.trial, 0.5)
        return len(running.values)

    assert train(lambda seed: 0.9 + 0.01 * (seed % 3)) == 8
    assert train(lambda seed: 0.8 + 0.01 * (seed % 3)) == FIRST_TEST
    assert train(lambda seed: 0.91 - 0.01 * (seed % 3)) == 8


def final_study(rounds: int = 2) -> optuna.Study:
    """The study of a final."""
    return study_in("sqlite:///out/study.db", f"out-final-{rounds}")


def modified() -> dict[Path, int]:
    """When the records of the finalists' rounds were last written."""
    return {path: path.stat().st_mtime_ns for path in sorted(Path("out/finalists").glob("*/records/*.jsonl"))}


def test_a_search_with_a_final(run_cli: Cli) -> None:
    """Fresh validation seeds, never tested; the best mean is picked, and confirmed; the same command trains nothing more; more rounds are
    added to those that there are."""
    ended = run_cli(*OURS, *SPACE, *FINAL, "hydra.sweeper.confirm=2")
    assert ended.code == 0, ended.err
    assert f"final: 3 finalists, 2 rounds each (seeds {SEEDS[0]} to {SEEDS[-1]})" in ended.out
    folders = sorted(Path("out/finalists").glob("trial_*"))
    assert len(folders) == 3
    assert folders[0].name == "trial_0000"  # the starting point
    means = {}
    for folder in folders:
        about, rounds = read_about(folder), pd.read_csv(folder / "rounds.csv")
        assert (about["seeds"], about["status"]) == (SEEDS, "done")
        assert rounds["test_accuracy"].isna().all()
        assert about["configuration"]["data"]["val_pairs"] == 20
        assert about["configuration_hash"] == read_about(Path("out") / folder.name)["configuration_hash"]
        means[int(folder.name[-4:])] = rounds["val_accuracy"].mean()
    recorded = {one.user_attrs["trial"]: one for one in final_study().trials}
    assert {number: one.value for number, one in recorded.items()} == pytest.approx(means)
    assert list(recorded[0].user_attrs["values"]) == [str(seed) for seed in SEEDS]
    best = max(means, key=lambda number: (round(means[number], 7), number == 0))
    assert "# Picked by its fresh rounds, so that their mean is too good" in Path("out/best.yaml").read_text()
    page = Path("out/summary/search.md").read_text()
    assert "## Final" in page
    assert f"best: trial {best}" in page
    assert f"# Trial {best} of 5" in Path("out/best.yaml").read_text()
    table = pd.read_csv("out/summary/trials.csv").set_index("trial")
    assert table["final"].dropna().to_dict() == {number: "picked" if number == best else "complete" for number in means}
    assert table["final_value"].dropna().to_dict() == pytest.approx(means)
    confirmed = {path.parent.name: read_about(path.parent)["seeds"] for path in Path("out/confirm").glob("*/run.json")}
    assert confirmed == {"start": [2, 3]} | ({} if best == 0 else {f"trial_{best:04d}": [2, 3]})

    before = modified()
    assert run_cli(*OURS, *SPACE, *FINAL).code == 0
    assert modified() == before
    assert run_cli(*OURS, *SPACE, *FINAL, "hydra.sweeper.finalist_rounds=3").code == 0
    assert len(final_study(3).trials) == 3
    assert all(len(pd.read_csv(folder / "rounds.csv")) == 3 for folder in folders)
    kept = pd.read_csv(folders[0] / "rounds.csv")["val_accuracy"][:2].mean()
    assert kept == means[0]


def test_a_final_of_others_is_another_one(run_cli: Cli) -> None:
    """Whoever is not in it any more drops nobody: fewer finalists meet in a study of their own, with the rounds on record; more of them
    join those that have met."""
    options = [*OURS, *SPACE, "hydra.sweeper.n_trials=4", "hydra.sweeper.finalist_rounds=2"]

    def met(name: str, finalists: int) -> set[int]:
        assert run_cli(*options, f"hydra.sweeper.finalists={finalists}").code == 0
        final = json.loads(Path("out/finalists/final.json").read_text())
        found = {one.user_attrs["trial"] for one in study_in("sqlite:///out/study.db", name).trials}
        assert found == set(final["trials"])
        return found

    three, before = met("out-final-2", 3), modified()
    two = met("out-final-2-2", 2)
    assert two < three
    assert modified() == before
    assert met("out-final-2", 4) > three
    assert before.items() <= modified().items()
    assert met("out-final-2-2", 2) == two


def test_an_older_study_goes_on(run_cli: Cli) -> None:
    """One that was begun without finalists: it says so, once, keeps its trials and holds its final. Other launchers do, too."""
    plain = [*OURS, *SPACE, "hydra/launcher=basic", "hydra.sweeper.pruner=none"]
    assert run_cli(*plain, "hydra.sweeper.n_trials=3").code == 0
    assert not Path("out/finalists").exists()
    ended = run_cli(*plain, "hydra.sweeper.n_trials=3", "hydra.sweeper.finalists=2", "hydra.sweeper.finalist_rounds=1")
    assert ended.code == 0, ended.err
    assert "the study out was begun without finalists; its trials stay" in ended.out
    assert len(final_study(1).trials) == 2
    assert all(one.state == TrialState.COMPLETE and len(one.user_attrs["values"]) == 1 for one in final_study(1).trials)
    again = run_cli(*plain, "hydra.sweeper.n_trials=3", "hydra.sweeper.finalists=2", "hydra.sweeper.finalist_rounds=1")
    assert "was begun without finalists" not in again.out


DYING = """
import os, signal, sys
from digitcmp.cli import main
from digitcmp.search.loop import Search
tell, told = Search.tell, []
def die(search, number, *ending):
    told.append(number)
    if search.spec.noun == "finalist" and len(told) == 7:
        os.kill(os.getpid(), signal.SIGKILL)
    tell(search, number, *ending)
Search.tell = die
main()
"""


def test_a_final_that_is_killed_goes_on(run_cli: Cli) -> None:
    """kill -9 when the rounds of the second finalist are on record and its end is not: the same command ends it with these, and trains the
    third."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    options = [*OURS, *SPACE, *FINAL]
    killed = subprocess.run([sys.executable, "-c", DYING, *options], env=environment, capture_output=True, text=True, check=False)
    assert killed.returncode == -9, killed.stderr
    before, kept = final_study().trials, modified()
    assert [one.state.name for one in before] == ["COMPLETE", "RUNNING", "WAITING"]
    ended = run_cli(*options)
    assert ended.code == 0, ended.err
    met = final_study().trials
    assert [one.user_attrs["trial"] for one in met] == [one.user_attrs["trial"] for one in before]
    assert [one.state.name for one in met] == ["COMPLETE"] * 3
    assert kept.items() <= modified().items()
    for one in met:
        rounds = pd.read_csv(f"out/finalists/trial_{one.user_attrs['trial']:04d}/rounds.csv")
        assert one.value == pytest.approx(rounds["val_accuracy"].mean())
        assert list(one.user_attrs["values"].values()) == pytest.approx(list(rounds["val_accuracy"]))
