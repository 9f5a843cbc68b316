"""The benchmarks: what there is to measure, and how each is run."""

import argparse
import ast
from pathlib import Path

OWN = Path(__file__).resolve().parent


def benchmarks() -> dict[str, str]:
    """Every module here that can be run, and the first line of what it says of itself."""
    found = {}
    for path in sorted(OWN.glob("*.py")):
        text = path.read_text()
        if "argparse" in text and path.stem != "__main__":
            found[path.stem] = (ast.get_docstring(ast.parse(text)) or "").partition("\n")[0]
    return found


def main() -> None:
    """List them."""
    lines = [f"  python -m benchmarks.{name:<10} {first}" for name, first in benchmarks().items()]
    epilog = "\n".join([*lines, "", "each has --help"])
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, epilog=epilog, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.parse_args()
    parser.print_help()


if __name__ == "__main__":
    main()
