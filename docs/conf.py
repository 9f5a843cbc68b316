"""The documentation site: python -m sphinx -W docs outputs/site. Its pages are those of this folder, and docstrings."""

import re
from pathlib import Path
from typing import Any

import digitcmp

project, author = "digitcmp", "The digitcmp developers"
version = release = digitcmp.__version__
copyright = author
extensions = ["myst_nb", "sphinx.ext.autodoc"]
exclude_patterns = ["results/*/runs"]
html_theme = "furo"
html_title = "digitcmp"
myst_heading_anchors = 4  # pages link to headings
nb_execution_mode = "off"  # the notebook has its outputs; a test runs it
autodoc_typehints = "description"
autodoc_member_order = "bysource"
default_role = "code"  # what stands between backticks in docstrings
# mermaid, and blocks that are a little more than their language; the tables of published sweeps, which their pages lead to
suppress_warnings = ["misc.highlighting_failure", "toc.not_included"]


def without_folders(app: Any, name: str, text: list[str]) -> None:
    """Leave the text of a link to a folder of the repository, which has no page. text: of a page, in its only entry."""
    here = Path(app.srcdir, name).parent
    text[0] = re.sub(r"\[([^\]]+)\]\(([\w./-]+)\)", lambda link: link[1] if (here / link[2]).is_dir() else link[0], text[0])


def setup(app: Any) -> None:
    """Called by Sphinx."""
    app.connect("source-read", without_folders)
