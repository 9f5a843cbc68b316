"""What a file of somebody's own consists of."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from digitcmp.config.own_code import imports, is_own, version_of

FILES = {
    "mine.py": "import torch, json\nimport helper\nfrom parts.first import thing\nfrom digitcmp.errors import RunError\n",
    "helper.py": "X = 1\ndef late():\n    import deep\n",
    "deep.py": "import helper, gone.away\n",
    "parts/__init__.py": "from . import second\n",
    "parts/first.py": "thing = 1\n",
    "parts/second.py": "import json\n",
    "parts/third.py": "",
    "spaces/inner.py": "import broken\n",
    "broken.py": "def (:\n",
    "other.py": "import os\n",
}


@pytest.fixture
def version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., str]]:
    """The version of mine.py, after one of these files got another text."""
    monkeypatch.syspath_prepend(str(tmp_path))
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)

    def find(name: str = "", text: str = "") -> str:
        if name:
            (tmp_path / name).write_text(text)
        return version_of("mine", tmp_path / "mine.py")

    yield find
    for name in [name for name in sys.modules if name.partition(".")[0] in ("parts", "spaces")]:
        del sys.modules[name]


@pytest.mark.parametrize("name", ["mine.py", "helper.py", "deep.py", "parts/__init__.py", "parts/first.py", "parts/second.py"])
def test_all_that_it_imports_belongs_to_it(name: str, version: Callable[..., str]) -> None:
    """Wherever it is imported, also by what is imported."""
    assert version() != version(name, f"{FILES[name]}\n# and something else\n")
    assert version(name, FILES[name]) == version()


@pytest.mark.parametrize("name", ["other.py", "parts/third.py", "broken.py", "spaces/inner.py"])
def test_what_it_does_not_import_is_not_its_own(name: str, version: Callable[..., str]) -> None:
    """Though it lies beside it."""
    assert version() == version(name, "something = 'else'\n")


def test_a_folder_without_init_and_a_file_that_cannot_be_read_as_python(version: Callable[..., str]) -> None:
    """They are told apart all the same."""
    before = version("mine.py", "from spaces import inner\n")
    assert version("broken.py", "def [:\n") != before
    assert version("spaces/inner.py", "") != before


def test_installed_packages_and_our_own_are_nobodys(version: Callable[..., str], tmp_path: Path) -> None:
    """They have versions of their own."""
    assert {*imports(tmp_path / "mine.py", "mine")} == {"helper", "parts", "parts.first", "parts.first.thing"}
    assert not any(map(is_own, ("json", "torch.nn", "digitcmp.errors", "sys", "nowhere.at.all", "pytest")))
    assert version()
