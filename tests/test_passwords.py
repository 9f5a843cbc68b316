"""Passwords of storage URLs: nowhere on disk, nowhere on the screen."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from digitcmp.errors import ConfigError, SearchError
from digitcmp.passwords import REFERENCE, VARIABLE, check_storage, holds_password, into_environment, unquoted, without_passwords
from digitcmp.search.storage import parse
from tests.conftest import Ended
from tests.nasty import TEXTS, at_most_refused

Cli = Callable[..., Ended]
SECRET = "s3cr3t"
WITH_PASSWORD = [
    f"postgresql://me:{SECRET}@db/studies",
    f"postgresql://me:{SECRET}/x@db/studies",
    f"postgresql://me:a {SECRET} b@db/studies",
    f"postgresql://me:x@{SECRET}@db/studies",
    f"postgresql://me:a:{SECRET}@db/studies",
    f"postgresql://:{SECRET}@db/studies",
    f"postgresql://db/studies?user=me&password={SECRET}",
    f"postgresql://db/studies?password=a {SECRET}",
    f"postgresql://me@db/studies?sslpassword={SECRET}&x=1",
    f"postgresql+psycopg://me:{SECRET}@[::1]:5432/studies",
    f"postgresql:/me:{SECRET}@db/studies",
    f"postgres//me:{SECRET}@db/studies",
    f"postgresql:me:{SECRET}@db/studies",
    f"mysql://me:{SECRET}@db/studies",
    f"redis://me:{SECRET}@db",
    f"postgresql://me:{SECRET}@db:port/studies",
    f"postgresql://me/x:{SECRET}@db/studies",
    f"postgresql://me:'{SECRET}@db/studies",
    f"me:{SECRET}@db/studies",
    f":{SECRET}@db",
    f"sqlite:///study.db?password={SECRET}",
    f"sqlite:///study.db?x=1&passwd={SECRET}",
]
WITHOUT = [
    "postgresql://me@db/studies",
    "postgresql://db:5432/studies",
    "sqlite:///study.db",
    "sqlite:////home/me@here/a:b/study.db",
    "journal:///shared/a:b@c",
    "study.db",
]


@pytest.mark.parametrize("url", WITH_PASSWORD)
@pytest.mark.parametrize(
    "form", ["hydra.sweeper.storage={}", "hydra.sweeper.storage='{}'", '+hydra.sweeper.storage="{}"', "hydra.sweeper.storge={}"]
)
def test_a_password_goes_into_the_environment(url: str, form: str) -> None:
    """Whatever the URL is like, and also where its key is mistyped; Hydra gets a reference."""
    environment: dict[str, str] = {}
    told = into_environment(["--multirun", form.format(url), "model=wsn"], environment)
    assert told == ["--multirun", f"{form.partition('=')[0]}={REFERENCE}", "model=wsn"]
    assert environment == {VARIABLE: url}


@pytest.mark.parametrize("url", WITHOUT)
def test_other_urls_stay(url: str) -> None:
    """As they were given."""
    assert into_environment([f"hydra.sweeper.storage={url}"], environment := {}) == [f"hydra.sweeper.storage={url}"]
    assert not environment
    check_storage("hydra.sweeper", {"storage": url})


@pytest.mark.parametrize("url", WITH_PASSWORD)
def test_a_url_is_never_shown_with_its_password(url: str) -> None:
    """Not in a command or an error that quotes it, not in what is said about one that cannot be used, not in the storage's name."""
    quoted = without_passwords(f"storage={url}: refused")
    assert SECRET not in quoted or "://" not in url
    try:
        name = without_passwords(parse(url).render_as_string(hide_password=True))
    except SearchError as error:
        name = str(error)
    assert SECRET not in name


def test_a_file_must_not_hold_a_password() -> None:
    """Its copies would be everybody's; the line does not repeat it."""
    with pytest.raises(ConfigError, match=r"hydra.sweeper.storage: a password in a file .* \$\{oc.env:NAME\}") as caught:
        check_storage("hydra.sweeper", {"n_trials": 3, "storage": WITH_PASSWORD[0]})
    assert SECRET not in str(caught.value)
    with pytest.raises(ConfigError, match=r"hydra.sweeper.storage.url: a password"):
        check_storage("hydra.sweeper", {"storage": {"url": WITH_PASSWORD[0]}})
    with pytest.raises(ConfigError, match=r"hydra.sweeper.storage: a password"):
        check_storage("hydra.sweeper", {"storage": f"me:{SECRET}@db"})
    check_storage("hydra.sweeper", {"storage": "${oc.env:STUDY_URL}"})


@pytest.mark.parametrize("text", [f"{SECRET}@host/db", f"psql me:{SECRET} host", f"host=db password {SECRET}"])
def test_what_is_no_url_is_not_shown_where_it_may_hold_a_password(text: str) -> None:
    """The line still says what would be right."""
    with pytest.raises(SearchError, match=r"^storage=\(not shown, .*\): use sqlite:///FILE, ") as caught:
        parse(text)
    assert SECRET not in str(caught.value)


def test_the_reason_is_not_taken_for_a_password(run_cli: Cli) -> None:
    """What follows a URL with `?password=` in a message is still there."""
    search = ["--multirun", "hydra/sweeper=digitcmp_optuna", "data=digits", "data.val_pairs=20", "optimizer.lr=interval(0.01,0.1)"]
    ended = run_cli(*search, f"hydra.sweeper.storage='sqlite:///pw.db?password={SECRET}'")
    assert ended.code == 1
    assert "use sqlite:///FILE" in ended.err
    assert SECRET not in ended.err


def test_advice_behind_a_url_is_shown() -> None:
    """It has a URL in it, too, whose password is none."""
    told = without_passwords("storage=mysql://me:secret@h/x: needs mysqlclient; use postgresql://USER:PASSWORD@HOST/DATABASE, or null")
    assert told == "storage=mysql://me:***@h/x: needs mysqlclient; use postgresql://USER:PASSWORD@HOST/DATABASE, or null"


def test_masking_is_idempotent_and_keeps_the_rest() -> None:
    """What comes after a URL is still there."""
    text = "storage=postgresql://me:***@db/studies: no route to host; ask me@host"
    assert without_passwords(text) == text
    assert without_passwords(f"postgresql://me:{SECRET}@db/x: no") == "postgresql://me:***@db/x: no"


@settings(max_examples=300, deadline=None, derandomize=True)
@given(TEXTS, st.sampled_from(["", "postgresql://", "sqlite:///", "postgresql://me:", "x://"]))
def test_any_storage_is_a_url_or_one_line(text: str, begin: str) -> None:
    """Whatever is given."""
    with at_most_refused():
        parse(begin + text)
    holds_password(begin + text)
    assert isinstance(without_passwords(begin + text), str)
    assert into_environment([text, f"storage={text}"], {})[0] == text
    unquoted(text)


TINY = ["model=net2", "epochs=1", "batch_size=20", "data.train_pairs=60", "data.val_pairs=20", "data.test_pairs=20", "engine=serial"]
SEARCH = ["--multirun", "hydra/sweeper=digitcmp_optuna", "hydra.sweep.dir=out", *TINY, "optimizer.lr=interval(0.001,0.01)"]
FEW = ["hydra.sweeper.n_trials=2", "hydra.sweeper.pruner=none"]


def test_hydra_keeps_a_reference(run_cli: Callable[..., Ended], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As docs/searching.md says: what the environment holds stays there, through a whole search and its confirmation."""
    monkeypatch.setenv("STUDY_URL", f"sqlite:///{SECRET}.db")
    reference = "${oc.env:STUDY_URL}"
    ended = run_cli(*SEARCH, *FEW, f"hydra.sweeper.storage={reference}", "hydra.sweeper.confirm=1")
    assert ended.code == 0, ended.err
    assert (tmp_path / f"{SECRET}.db").is_file()
    files = [path for path in (tmp_path / "out").rglob("*") if path.is_file() and path.name != "search.md"]  # which says how to look at it
    assert len(files) > 20
    assert not [path for path in files if SECRET.encode() in path.read_bytes() and path.suffix != ".diff"]  # of a changed checkout
    assert all(reference in path.read_text() for path in (tmp_path / "out").glob("trial_*/.hydra/hydra.yaml"))
    assert reference in (tmp_path / "out" / "best.yaml").read_text()


@pytest.mark.parametrize("url", WITH_PASSWORD)
def test_refusals_do_not_tell(url: str, run_cli: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """From the command line: one line, no password, nothing left behind."""
    monkeypatch.setenv(VARIABLE, "")
    if "@db/" in url or "//db/" in url:
        url = url.replace("@db/", "@127.0.0.1:1/").replace("//db/", "//127.0.0.1:1/")
    ended = run_cli(*SEARCH, f"hydra.sweeper.storage={url}")
    assert ended.code == 1
    assert ended.err.startswith("digitcmp: ")
    assert ended.err.count("\n") == 1
    assert SECRET not in ended.out + ended.err
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()]
