"""The verdicts, on made-up rounds: which tests decide what, and how far rounding reaches."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from digitcmp.verify.output import exit_code, statement
from digitcmp.verify.rounding import LOSS, MEASURED, SHARE, first_losses, measured, tolerance, tolerances
from digitcmp.verify.verdicts import equivalence_p, gain, is_lost, lost_p, most_otherwise, verdicts
from tests.conftest import compose_config


def table(
    margin: float = 0.005,
    recorded: int = 100,
    found: dict[str, str] | None = None,
    reasons: dict[str, str] | None = None,
    **configurations: Any,
) -> pd.DataFrame:
    """The verdicts on configurations: by label, what `compare_rounds` says of their rounds, or differences of accuracies in points."""
    rows = []
    for label, one in configurations.items():
        given = one if isinstance(one, dict) else {"difference": np.array(one, dtype="float64") / 100}
        count = len(next(iter(given.values())))
        own = pd.DataFrame({"label": [label] * count, "seed": range(count), "found": "", "equal": False, "difference": 0.0})
        rows.append(own.assign(lost_then=False, lost_now=False).assign(**given))
    rounds = pd.concat(rows)
    drawn = [int((rounds["label"] == label).sum()) for label in configurations]
    counts = pd.DataFrame({"label": list(configurations), "recorded": recorded, "broken": 0, "drawn": drawn})
    return verdicts(counts, rounds, found or {}, margin, reasons or {})


NEAR = [0.1, -0.1, 0.2, -0.2, 0.0, 0.1, -0.1, 0.2, -0.3, 0.1]
FAR = [1.1, 0.9, 1.2, 0.8, 1.0, 1.1, 0.9, 1.2, 0.7, 1.1]
WIDE = [3, -2, 1, -4, 5, -1, 2, -3, 4, -5]


def test_each_verdict() -> None:
    """Equal rounds are reproduced, near ones consistent, others different, and what neither shows is open."""
    some = table(equal={"equal": [True] * 10}, near=NEAR, far=FAR, wide=WIDE, few=NEAR[:3])
    assert list(some["verdict"]) == ["reproduced", "consistent", "different", "too few", "too few"]
    told = dict(zip(some["label"], some["found"], strict=True))
    assert told["equal"] == "all epochs, to the last digit"
    assert told["near"].startswith("+0.00 points (-0.10 to +0.10)")
    assert "p = 0.0" in told["far"]
    assert exit_code(some) == 1
    assert exit_code(some[some["label"] != "far"]) == 2
    assert exit_code(some[:2]) == 0


def test_what_is_wrong_with_one_round_decides() -> None:
    """Nine equal ones don't help, and neither does a test."""
    wrong = table(one={"found": ["", "seed 1, epoch 3: …", *[""] * 8], "equal": [True, False, *[True] * 8]})
    assert wrong.loc[0, ["verdict", "found", "wrong"]].tolist() == ["different", "seed 1, epoch 3: …", 1]
    assert statement(wrong) == "1 of 10 rounds trained again differs from the record."
    contradicted = table(one={"equal": [True] * 10}, found={"one": "seed 99: …"})
    assert contradicted.loc[0, ["verdict", "found", "wrong"]].tolist() == ["different", "seed 99: …", 0]


def test_a_configuration_without_rounds() -> None:
    """All of them broke, or their files are damaged: nothing is known of it, and it says nothing about the others."""
    some = table(near=NEAR, none={"difference": np.array([])})
    some.loc[1, "recorded"] = 0
    assert list(some["verdict"]) == ["consistent", "too few"]
    assert some["found"][1] == "no round on record that came through an epoch"
    assert most_otherwise(some) == pytest.approx(1 - 0.05 ** (1 / 10))


def test_what_could_not_be_trained_again() -> None:
    """Is no verdict on the others, and none that they are right; what is wrong with a record is so without training."""
    none = {"difference": np.array([])}
    reasons = dict.fromkeys(("near", "none", "wrong"), "no such data")
    some = table(near=NEAR, none=none, wrong=none, found={"wrong": "seed 9: …"}, reasons=reasons)
    assert list(some["verdict"]) == ["consistent", "not trained", "different"]
    assert some["found"][0].endswith("; others not trained: no such data")
    assert list(some["found"][1:]) == ["no such data", "seed 9: …"]
    assert exit_code(some[:2]) == 2
    assert "Of all 100 on record" in statement(some)


def test_lost_rounds_are_counted() -> None:
    """As many as on record is consistent, however far they are apart; six of ten more are not. Either way, the numbers are said."""
    flags = np.arange(10) < 6
    values = np.array(NEAR) / 100
    assert table(more={"difference": values, "lost_now": flags})["verdict"].tolist() == ["different"]
    assert table(more={"difference": values, "lost_now": flags})["found"][0] == "failed or untrained: 0 on record, 6 now (p = 0.043)"
    same = table(same={"difference": values, "lost_then": flags, "lost_now": flags[::-1]})
    assert same["verdict"].tolist() == ["consistent"]
    assert same["found"][0].endswith("; failed or untrained: 6 on record, 6 now")
    assert table(one={"difference": np.array([-np.inf, *values[1:]])})["verdict"].tolist() == ["consistent"]


def test_seeds_that_are_lost_again_show_what_others_are() -> None:
    """Eight more of fifty, beside ten that are lost both times: McNemar's exact test, 2 * 0.5^8; Fisher's alone would not see them."""
    seeds = np.arange(50)
    assert lost_p(seeds < 10, seeds < 18) == pytest.approx(2 * 2 * 0.5**8)
    assert lost_p(seeds < 18, seeds < 10) == lost_p(seeds < 10, seeds < 18)
    assert lost_p(seeds < 10, seeds < 10) == 1.0
    more = table(more={"difference": np.resize(NEAR, 50) / 100, "lost_then": seeds < 10, "lost_now": seeds < 18})
    assert more[["verdict", "found"]].iloc[0].tolist() == ["different", "failed or untrained: 10 on record, 18 now (p = 0.031)"]


def test_what_is_said_of_rounds_that_need_not_be_equal() -> None:
    """Not that none differs: that they begin like those on record; and nothing of the others where accuracies differ."""
    near = statement(table(near={"difference": np.array(NEAR) / 100, "equal": [True, *[False] * 9]}))
    far = statement(table(far=FAR))
    like = "the test pairs on record and, but for rounding, its losses in the first epoch"
    assert near.startswith(
        f"1 of 10 rounds trained again is equal to the last digit; the others have {like}. Of all 100 on record, no more than 25.9 %"
    )
    assert "25.9 % have others, with 95 % confidence" in near
    assert far == f"10 rounds trained again: all have {like}, and none is equal to the last digit."
    assert statement(table(far=FAR, recorded=10)) == f"All rounds on record were trained again. {far}"
    equal = statement(table(equal={"equal": [True] * 10}))
    assert equal.startswith("None of 10 rounds trained again differs from its record. Of all 100 on record, no more than 25.9 % differ,")


def test_tests_are_corrected_for_the_number_of_configurations() -> None:
    """What one configuration shows at 5 %, it does not show as the only one of ten (Holm)."""
    seven = [1.0, 0.9, 1.1, 1.2, 0.8, 1.3, 0.7]
    assert table(one=seven)["verdict"].tolist() == ["different"]
    assert table(one=seven, **{f"other{index}": WIDE for index in range(9)})["verdict"].tolist() == ["too few"] * 10


def test_equivalence() -> None:
    """Symmetric; as small as 2^-n where all differences are within the margin; large outside."""
    values = np.array(NEAR)
    assert equivalence_p(values, 0.5) == equivalence_p(-values, 0.5) == pytest.approx(2**-10)
    assert equivalence_p(values + 1, 0.5) == 1.0
    assert equivalence_p(np.zeros(4), 0.5) == pytest.approx(2**-4)


def test_failed_rounds_in_differences() -> None:
    """Failed on both sides: no difference. Failed now: lost by more than any other."""
    assert gain(-np.inf, -np.inf) == 0.0
    assert gain(0.9, -np.inf) == -np.inf
    assert gain(0.8, 0.9) == 0.1
    done = {"status": "done", "test_accuracy": 0.58, "majority_accuracy": 0.55}
    assert is_lost(done)
    assert is_lost({**done, "test_accuracy": 0.42})
    assert not is_lost({**done, "test_accuracy": 0.581})
    assert not is_lost({**done, "test_accuracy": np.nan, "majority_accuracy": np.nan})
    assert is_lost({**done, "status": "failed", "test_accuracy": 0.9})


@pytest.mark.parametrize(("sizes", "drawn"), [([100], [10]), ([100, 100], [10, 10]), ([30, 300], [10, 10]), ([5, 50, 200], [5, 10, 10])])
def test_what_so_many_rounds_can_show(sizes: list[int], drawn: list[int]) -> None:
    """Whichever configurations the bad rounds are in: with more of them than it says, all of the draws would miss them in 5 % at most."""
    counts = pd.DataFrame({"recorded": sizes, "drawn": drawn})
    bound = most_otherwise(counts)
    if len(set(sizes)) == 1:
        assert bound == pytest.approx(1 - 0.05 ** (1 / sum(drawn)))
    random = np.random.default_rng(0)
    for _ in range(2000):
        shares = random.random(len(sizes)) ** random.uniform(0.2, 8)
        missed = np.prod((1 - shares) ** np.array(drawn))
        if np.dot(shares, sizes) / sum(sizes) > bound:
            assert missed <= 0.05 + 1e-12


SMALL = ("data.train_pairs=200", "data.test_pairs=50", "epochs=5")


def test_how_far_rounding_reaches() -> None:
    """Not as far as LOSS in a stable network; farther at the edge of stability, where losses say nothing about the last digits."""
    edge = ["model=net4", "model.batchnorm=true", "aux_weight=1", "optimizer=sgd", "optimizer.lr=3", "batch_size=20"]
    stable, unstable = compose_config(*SMALL, "model=net1"), compose_config(*SMALL, *edge)
    assert tolerance(stable, [0, 1]) == LOSS
    assert tolerance(unstable, [0, 1]) > 10 * LOSS


def test_other_seeds_are_farther_than_that() -> None:
    """Where seeds are far from each other, losses that are a twentieth as far are not those of other rounds; most other seeds are told."""
    config = compose_config(*SMALL, "model=wsn", "model.batchnorm=true", "aux_weight=1")
    losses = [first_losses(config, [seed], torch.device("cpu"))[0] for seed in range(8)]
    found = tolerance(config, range(8))
    assert found >= SHARE * np.std(losses, ddof=1) > LOSS
    apart = np.abs(np.subtract.outer(losses, losses))[np.triu_indices(8, 1)]
    assert (apart > found).mean() > 0.85


def test_one_round_does_not_tell_how_far_rounding_reaches() -> None:
    """In wsn it carries most rounds nowhere, and some a thousand times as far: where one is apart, others are measured, too."""
    assert measured([2]) == [2, 3, 4, 5, 6, 7, 8, 9]
    assert measured([5, 1]) == [5, 1, 6, 7, 8, 9, 10, 11]
    assert measured(range(99)) == [*range(MEASURED)]


def test_tolerances_are_measured_where_they_matter() -> None:
    """Runs whose losses agree are not trained for that."""
    config = compose_config(*SMALL, "model=net1")
    then = pd.DataFrame({"run_index": [0, 0, 1], "seed": [0, 1, 0], "epoch": 1, "train_loss": [0.6, 0.5, 0.7]})
    now = then.assign(train_loss=[0.6 + LOSS / 2, 0.5, 0.8])
    assert tolerances(then, now, {0: config}) == {0: LOSS}
    assert tolerances(then, now, {0: config, 1: config}) == {0: LOSS, 1: tolerance(config, measured([0]))}
    assert tolerances(then, now.assign(train_loss=np.nan), {}) == {}
