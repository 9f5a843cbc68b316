"""Names are the field's: words that meant something in this project alone have not come back."""

import ast
import re
from pathlib import Path

from tests.conftest import ROOT

RETIRED = {
    "Ledger",
    "Flight",
    "Course",
    "Place",
    "Setting",
    "Desk",
    "Crew",
    "Audience",
    "Standing",
    "Manner",
    "Diet",
    "Jury",
    "Judge",
    "Watcher",
    "Illustrator",
    "Paper",
}


def words(name: str) -> set[str]:
    """The words of a name in CamelCase or snake_case, each with a capital: {Trial, Folder} of trial_folder and of TrialFolder."""
    return {word.capitalize() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)}


def names(path: Path) -> list[str]:
    """The names of a module's classes and functions."""
    kinds = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    return [node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, kinds)]


def test_retired_words() -> None:
    """Occur in no name of a class or function."""
    modules = sorted((ROOT / "digitcmp").rglob("*.py"))
    found = {f"{path.relative_to(ROOT)}: {name}" for path in modules for name in names(path) if words(name) & RETIRED}
    assert not found
    assert modules


def test_words_of_names() -> None:
    """Whichever way a name is written; a longer word that begins like a retired one is another word."""
    assert words("open_place") == words("OpenPlace") == {"Open", "Place"}
    assert words("_make_setting2") & RETIRED == {"Setting"}
    assert not words("check_settings") & RETIRED
