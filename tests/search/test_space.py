"""Spaces: how they are read, what they suggest, what is refused."""

from typing import Any

import optuna
import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Quote, QuotedString
from hypothesis import example, given, settings
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from digitcmp.errors import ConfigError
from digitcmp.search.grammar import make_space
from digitcmp.search.space import Space, as_text
from tests.nasty import TEXTS, at_most_refused
from tests.search.made import PARAMS


def distributions(space: Space) -> dict[str, Any]:
    """The distribution of each searched key."""
    return {dimension.name: dimension.distribution for dimension in space.searched}


def test_hydras_grammar_is_understood() -> None:
    """Each way of writing a space gives the distribution that the official sweeper makes of it."""
    space = make_space(
        {
            "a": "interval(0,2)",
            "b": "tag(log,interval(0.01,1))",
            "c": "int(interval(1,5))",
            "d": "range(1,5)",
            "e": "x,y",
            "f": "choice(0,0.5)",
        },
        ["g=tag(log,int(interval(1,100)))", "h=range(0,1,0.25)"],
    )
    assert distributions(space) == {
        "a": FloatDistribution(0.0, 2.0),
        "b": FloatDistribution(0.01, 1.0, log=True),
        "c": IntDistribution(1, 5),
        "d": IntDistribution(1, 4),
        "e": CategoricalDistribution(("x", "y")),
        "f": CategoricalDistribution((0, 0.5)),
        "g": IntDistribution(1, 100, log=True),
        "h": FloatDistribution(0.0, 0.75, step=0.25),
    }


def test_the_command_line_adds_and_overrides() -> None:
    """A space for a new key, another one for a known key, a value that ends the search of a key; conditions stay with their key."""
    space = make_space(
        PARAMS, ["aux_weight=interval(0,1)", "optimizer.lr=interval(0.1,0.2)", "optimizer.momentum=0.5", "epochs=3", "~model"]
    )
    assert list(distributions(space)) == ["optimizer", "optimizer.lr", "aux_weight"]
    assert distributions(space)["optimizer.lr"] == FloatDistribution(0.1, 0.2)
    point = {"optimizer": "sgd", "optimizer.lr": 0.1, "aux_weight": 0.0}
    assert space.overrides(point) == ["optimizer=sgd", "optimizer.lr=0.1", "optimizer.momentum=0.5", "aux_weight=0.0", "epochs=3", "~model"]
    assert "optimizer.momentum=0.5" not in space.overrides({**point, "optimizer": "adam"})


def test_a_condition_decides_what_is_suggested() -> None:
    """Momentum with SGD, and never with Adam; a plus sign belongs to the override and not to the name."""
    space = make_space({**PARAMS, "+experiment": "choice(wsn,wosn)"}, [])
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    seen = set()
    for _ in range(30):
        trial = study.ask()
        values = space.suggest(trial)
        assert ("optimizer.momentum" in values) == (values["optimizer"] == "sgd")
        assert values == trial.params
        assert f"+experiment={values['experiment']}" in space.overrides(values)
        seen.add(values["optimizer"])
    assert seen == {"sgd", "adam"}


def test_conditions_follow_conditions() -> None:
    """A key under a condition may itself be one; the order in which they are written does not matter; a fixed key counts, too."""
    params = {
        "optimizer.nesterov": {"when": "optimizer.momentum=0.9", "space": "true,false"},
        "optimizer.momentum": {"when": ["optimizer=sgd", "model=net2,net3"], "space": "choice(0,0.9)"},
        "optimizer": "sgd,adam",
        "model": "net3",
    }
    space = make_space(params, [])
    assert space.complete({}) == {"optimizer": "sgd", "optimizer.momentum": 0}
    assert space.complete({"optimizer.momentum": 0.9}) == {"optimizer": "sgd", "optimizer.momentum": 0.9, "optimizer.nesterov": True}
    assert make_space({**params, "model": "wsn"}, []).complete({}) == {"optimizer": "sgd"}


def test_samples_use_every_choice_and_every_dimension() -> None:
    """So that a mistake in any of them is found before the first trial."""
    space = make_space({**PARAMS, "optimizer": "choice(adam,sgd)"}, [])
    samples = list(space.samples())
    assert {sample["optimizer"] for sample in samples} == {"sgd", "adam"}
    assert any("optimizer.momentum" in sample for sample in samples)


@pytest.mark.parametrize(("value", "text"), [(None, "null"), (True, "true"), (1e-5, "1e-05"), ("sgd", "sgd"), (3, "3")])
def test_values_as_text(value: Any, text: str) -> None:
    """As Hydra's command line takes them."""
    assert as_text(value) == text


WRONG = [
    ({"a": "interval(1,0)"}, "a=interval(1,0): this space cannot be searched (`low <= high` must hold"),
    ({"a": "choice()"}, "a=choice(): this is neither a space nor a value (empty choice is not legal)"),
    ({"a": "tag(log,interval(0,1))"}, "a=tag(log,interval(0,1)): this space cannot be searched (`low > 0` must hold"),
    ({"a": "range(3,0)"}, "a=range(3,0): this space cannot be searched"),
    ({"a": "wibble(1)"}, "Unknown function 'wibble'"),
    ({"a": "choice(null,3)"}, "a=choice(null,3): choice() takes no null; write a=null,3"),
    ({"a": {"space": "choice(null,3)", "when": "b=1"}, "b": "1,2"}, "a=choice(null,3): choice() takes no null; write a=null,3"),
    ({"a": "interval(null,3)"}, "a=interval(null,3): interval() takes no null"),
    ({"a": 1}, "there is nothing to search"),
    ({"seed": "range(0,5)", "a": "1,2"}, "seed=range(0,5): every trial is trained on the same seeds; rounds=R"),
    ({"rounds": "1,2"}, "rounds=1,2: every trial is trained on the same seeds; give their number once"),
    ({"test": "true", "a": "1,2"}, "test=true: a search never looks at the test pairs"),
    ({"a": {"space": "1,2"}}, "write {when: KEY=CHOICE, space: SPACE}"),
    ({"a": {"space": "1,2", "when": "b"}}, "when: b is no condition; write when: KEY=CHOICE"),
    ({"a": {"space": "1,2", "when": "b=1"}}, "b is neither searched nor given a value here"),
    ({"a": {"space": "1,2", "when": "b=1"}, "b": "interval(0,1)"}, "b is no choice"),
    ({"a": {"space": "1,2", "when": "b=3"}, "b": "1,2"}, "b is never that"),
    ({"a": {"space": "1,2", "when": "b=1"}, "b": {"space": "1,2", "when": "a=1"}}, "the conditions of a, b wait for each other"),
]


@pytest.mark.parametrize(("params", "words"), WRONG, ids=[words for _, words in WRONG])
def test_what_makes_no_sense_is_refused(params: dict[str, Any], words: str) -> None:
    """One line that quotes it."""
    with pytest.raises(ConfigError) as caught:
        make_space(params, [])
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("point", "words"),
    [
        ({"lr": 0.1}, "enqueue lr=0.1: this key is not searched; searched are optimizer, optimizer.lr, optimizer.momentum"),
        ({"optimizer.lr": 5}, "enqueue optimizer.lr=5: this is outside its space, 0.001 to 1, logarithmic"),
        ({"optimizer": "rmsprop"}, "enqueue optimizer=rmsprop: this is outside its space, sgd, adam"),
        ({"optimizer": None}, "enqueue optimizer=null: this is outside its space, sgd, adam"),
        ({"optimizer.lr": None}, "enqueue optimizer.lr=null: this is outside its space, 0.001 to 1, logarithmic"),
        ({"optimizer.lr": True}, "enqueue optimizer.lr=true: this is outside its space, 0.001 to 1, logarithmic"),
        ({"optimizer.lr": "small"}, "enqueue optimizer.lr=small: this is outside its space, 0.001 to 1, logarithmic"),
        ({"lr": None}, "enqueue lr=null: this key is not searched; searched are optimizer, optimizer.lr, optimizer.momentum"),
    ],
)
def test_starting_points_lie_in_the_space(point: dict[str, Any], words: str) -> None:
    """One line that quotes the point."""
    with pytest.raises(ConfigError) as caught:
        make_space(PARAMS, []).point(point)
    assert words == str(caught.value)


ALIKE = [  # a space, what a starting point says, and what its trial has; None: nothing of the space
    ("null,3", None, "a=null"),
    ("null,3", "null", "a=null"),
    ("null,3", 3, "a=3"),
    ("null,3", 3.0, "a=3.0"),
    ("null,3", "3", "a=3"),
    ("null,'null'", None, "a=null"),
    ("null,'null'", "null", "a='null'"),
    ("true,false", True, "a=true"),
    ("true,false", False, "a=false"),
    ("true,false", "true", "a=true"),
    ("true,false", 1, None),
    ("0,1", False, None),
    ("0,0.5", 0, "a=0"),
    ("0,0.5", 0.5, "a=0.5"),
    ("'0.1',0.1", "0.1", "a='0.1'"),
    ("'0.1',0.1", 0.1, "a=0.1"),
    ("'0.1',x", "'0.1'", "a='0.1'"),
    ("choice('a,b',c)", "a,b", "a='a,b'"),
    ("choice([null,1],[2])", [None, 1], "a=[null,1]"),
    ("choice([null,1],[2])", [2], "a=[2]"),
    ("choice(['0.1','x y'],[0.1])", ["0.1", "x y"], "a=['0.1','x y']"),
    ("choice(['0.1','x y'],[0.1])", [0.1], "a=[0.1]"),
    ("choice([1],[true])", [True], "a=[True]"),
    ("choice({x:null},{x:1})", {"x": None}, "a={x:null}"),
    ("choice({x:null},{x:1})", {"x": 2}, None),
    ("sgd,adam", "adam", "a=adam"),
    ("sgd,adam", None, None),
    ("interval(0,1)", 0.5, "a=0.5"),
    ("interval(0,1)", "0.5", "a=0.5"),
    ("interval(0,1)", True, None),
    ("interval(0,1)", None, None),
    ("interval(0,1)", [0.5], None),
    ("range(1,5)", 2, "a=2"),
    ("range(1,5)", 2.0, "a=2"),
    ("range(1,5)", "2", "a=2"),
    ("range(1,5)", 2.5, None),
    ("range(1,5)", True, None),
]


@pytest.mark.parametrize(("space", "given", "override"), ALIKE, ids=[f"{space}: {given!r}" for space, given, _ in ALIKE])
def test_what_a_starting_point_says_is_the_value_that_is_the_same(space: str, given: Any, override: str | None) -> None:
    """Whatever kind of value it is; true is not 1, and a text is not what it looks like where there is that text, too."""
    made = make_space({}, [f"a={space}"])
    if override is None:
        with pytest.raises(ConfigError, match="this is outside its space"):
            made.point({"a": given})
        return
    point = made.point({"a": given})
    assert made.overrides(point) == [override]
    study = optuna.create_study()
    study.enqueue_trial(point)
    assert made.suggest(study.ask()) == point


QUOTED = [
    ("a=choice('a,b','c=d')", ["a='a,b'", "a='c=d'"]),
    ("a=choice('0.1',0.1,'true',true)", ["a='0.1'", "a=0.1", "a='true'", "a=true"]),
    ("a=choice(\"it's\",'x y',plain)", [r"a='it\'s'", "a=x y", "a=plain"]),
    ("a=choice([1,2],{x:1})", ["a=[1,2]", "a={x:1}"]),
    ("a='a,b',c", ["a='a,b'", "a=c"]),
]


@pytest.mark.parametrize(("text", "overrides"), QUOTED, ids=[text for text, _ in QUOTED])
def test_choices_keep_what_they_are(text: str, overrides: list[str]) -> None:
    """A text in quotes is that text in the trial's override, too, and no sweep, number or truth value."""
    space = make_space({}, [text])
    assert [space.overrides(values)[0] for values in space.samples()] == overrides


@settings(max_examples=300, deadline=None, derandomize=True)
@given(TEXTS)
def test_any_text_can_be_a_choice(text: str) -> None:
    """What was quoted arrives as it was, and as a text."""
    with at_most_refused():  # what Hydra itself cannot read is
        space = make_space({}, [f"a=choice({QuotedString(text, Quote.single).with_quotes()},1)"])
        override = space.overrides(next(space.samples()))[0]
        assert OverridesParser.create().parse_override(override).value() == text


def test_a_logarithmic_range_stays_logarithmic() -> None:
    """Of whole numbers; a step, or a tag that means nothing, is refused."""
    assert distributions(make_space({}, ["a=tag(log,range(1,100))"])) == {"a": IntDistribution(1, 99, log=True)}
    for text in ("a=tag(log,range(1,100,2))", "a=tag(log,range(0.1,1,0.1))", "a=tag(log,choice(1,2))", "a=tag(lg,interval(1,2))"):
        with pytest.raises(ConfigError, match="this space cannot be searched"):
            make_space({}, [text])


def test_a_search_has_an_order_of_its_own() -> None:
    """Whoever shuffles gets the same space each time: another one would be another study. Nothing is listed to be shuffled."""
    assert distributions(make_space({}, ["a=shuffle(range(1,9))", "b=shuffle(choice(x,y))"])) == {
        "a": IntDistribution(1, 8),
        "b": CategoricalDistribution(("x", "y")),
    }
    assert distributions(make_space({}, ["a=shuffle(range(1000000000))"])) == {"a": IntDistribution(0, 999_999_999)}
    with pytest.raises(ConfigError, match="it has 1,000,000,000 values; at most 10,000 can be listed"):
        make_space({}, ["a=float(range(1000000000))"])


def test_conditions_are_read_as_choices_are() -> None:
    """A quoted choice can be a condition; so can a number, however it is written."""
    params = {"a": "choice('x,y',z)", "b": {"when": "a='x,y'", "space": "1,2"}, "c": "0.5,1", "d": {"when": "c=0.50", "space": "1,2"}}
    assert make_space(params, []).complete({}) == {"a": "'x,y'", "b": 1, "c": 0.5, "d": 1}


@settings(max_examples=300, deadline=None, derandomize=True)
@given(TEXTS, TEXTS, TEXTS)
def test_any_space_is_read_or_refused_in_one_line(key: str, value: str, when: str) -> None:
    """Whatever a file or a command line says."""
    for params, arguments in (({key: value}, []), ({key: {"when": when, "space": value}}, []), ({}, [f"{key}={value}", value])):
        with at_most_refused():
            make_space(params, arguments).complete({})


PIECES = [
    *("choice(", "range(", "interval(", "tag(log,", "tag(x,", "sort(", "shuffle(", "int(", "float(", "str(", "glob(", "extend_list("),
    *(")", ",", "[", "]", "{", "}", ":", "=", "'", '"', "\\", " ", "${", "a", "b", "1", "-1", "0", "1.5", "1e400", "nan", "-inf"),
    *("9" * 30, "9" * 5_000, "true", "null", "step=", "start=0", "0.1", "1e-320", "*", "+", "~", "hydra."),
]
SPELLED = st.lists(st.sampled_from(PIECES), max_size=10).map("".join)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(SPELLED)
@example("range(0,1e400)")
@example("range(0,1,nan)")
@example("range(0,inf)")
@example("interval(0,1e400)")
@example("choice(nan,1)")
@example("range(" + "9" * 5_000 + ")")
@example("[" * 2_000)
@example("int(range(0,inf))")
def test_anything_spelled_like_a_space(value: str) -> None:
    """Pieces of the grammar in any order: a space that has points, or one line."""
    with at_most_refused():
        space = make_space({"a": value}, ["b=1,2"])
        study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
        space.suggest(study.ask())
        space.describe()
