"""docs/tutorial.ipynb: how it is run, and what of its outputs is kept. `python -m tests.tutorial` runs it and writes them."""

import re
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import nbformat
from nbclient import NotebookClient

from tests.conftest import ROOT

PAGE = ROOT / "docs" / "tutorial.ipynb"
TIMEOUT = 240  # seconds of a cell
DIRTY = re.compile(r"<p>warning: [^<]*git_dirty[^<]*</p>\n?")  # while the code is being changed
NOISE = re.compile(r"\b\d+(\.\d+)? (s|seconds|minutes|hours)\b|0x[0-9a-f]+")  # durations and addresses


def executed(folder: Path) -> Any:
    """The notebook, run in a folder by a kernel of its own. Raises CellExecutionError where a cell fails."""
    page = nbformat.read(PAGE, 4)  # type: ignore[no-untyped-call]
    NotebookClient(page, timeout=TIMEOUT, kernel_name="python3", resources={"metadata": {"path": str(folder)}}).execute()
    return page


def cleaned(page: Any) -> Any:
    """The notebook without what is another time, machine or editor."""
    page.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    for number, cell in enumerate(page.cells):
        cell.id, cell.metadata = f"cell-{number}", {}
        for output in cell.get("outputs", []):
            output.pop("metadata", None)
            if "data" in output:
                output.metadata = {}
                best = next(kind for kind in ("text/html", "image/png", "text/plain") if kind in output.data)
                output.data = {best: DIRTY.sub("", output.data[best]).rstrip("\n")}
    return page


def outline(page: Any) -> list[list[str]]:
    """What each cell has put out: kinds of outputs, and texts without their numbers."""
    found = []
    for cell in page.cells:
        kinds = []
        for output in cell.get("outputs", []):
            data = output.get("data", {"stream": output.get("text", "")})
            kinds += [
                f"{kind}: {re.sub(r'[-+]?[0-9][0-9.]*|<[^>]*>|–|∞|[<>]', '', text)}" for kind, text in data.items() if kind != "image/png"
            ]
            kinds += [kind for kind in data if kind == "image/png"]
        found.append([" ".join(kind.split()) for kind in kinds])
    return found


def main() -> None:
    """Run it, and keep what it puts out."""
    with TemporaryDirectory() as folder:
        page = cleaned(executed(Path(folder)))
    nbformat.write(page, PAGE)  # type: ignore[no-untyped-call]
    print(f"{PAGE}: {PAGE.stat().st_size:,} bytes", file=sys.stderr)


if __name__ == "__main__":
    main()
