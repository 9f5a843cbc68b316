"""The benchmarks of digitcmp.

python -m benchmarks BENCHMARK --help     what a benchmark measures, and its options
python -m benchmarks BENCHMARK [OPTION]   run it; the same as python -m benchmarks.BENCHMARK

Each prints a small table with medians and the machine, and writes its measurements with --json FILE.
"""

import argparse
import ast
import runpy
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent


def benchmarks() -> dict[str, str]:
    """The modules of this folder that have a `main`, this one aside, with the first lines of their docstrings. Nothing is imported."""
    trees = {path.stem: ast.parse(path.read_text()) for path in sorted(FOLDER.glob("*.py")) if path.stem != "__main__"}
    runnable = {
        name: tree for name, tree in trees.items() if any(isinstance(node, ast.FunctionDef) and node.name == "main" for node in tree.body)
    }
    return {name: (ast.get_docstring(tree) or "").partition("\n")[0] for name, tree in runnable.items()}


def main() -> None:
    """List the benchmarks, or run one."""
    found = benchmarks()
    listed = "\n".join(f"  {name:<12} {line}" for name, line in found.items())
    description = f"{(__doc__ or '').strip()}\n\nbenchmarks:\n{listed}"
    parser = argparse.ArgumentParser("python -m benchmarks", description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("benchmark", choices=list(found), metavar="BENCHMARK", help=", ".join(found))
    parser.add_argument("options", nargs=argparse.REMAINDER, metavar="OPTION", help="the benchmark's own")
    chosen = parser.parse_args()
    sys.argv = [f"python -m benchmarks.{chosen.benchmark}", *chosen.options]
    runpy.run_module(f"benchmarks.{chosen.benchmark}", run_name="__main__", alter_sys=False)


if __name__ == "__main__":
    main()
