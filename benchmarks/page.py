"""How large the report's page is, and how long Chromium takes from its first paint until its tables can be sorted.

python -m benchmarks.page                                      of the published Table 1: 5 configurations of 100 rounds of 60 epochs

The page is loaded from disk, each time in a browser profile of its own (a first visit), as wide as a screen. Beside the time between
the two, both are counted from the beginning of the navigation. A click on a heading is measured, too: until the rows are in their new
order and the browser has drawn them.
"""

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.browser import chromium
from benchmarks.common import make_console, make_parser, make_table, print_table, run, spread, whole, write
from benchmarks.machine import describe_machine, in_words
from digitcmp.report.build import make_report

TIMES = """() => ({
  painted: performance.getEntriesByName("first-contentful-paint")[0].startTime,
  sortable: performance.getEntriesByName("sortable")[0].startTime,
})"""
CLICK = """() => new Promise((done) => {
  const began = performance.now();
  document.querySelector("#table th:nth-child(2) button").click();
  requestAnimationFrame(() => setTimeout(() => done(performance.now() - began)));
})"""


def measure(page: Path, repeat: int) -> dict[str, Any]:
    """All of it, in milliseconds and million bytes. Raises RunError without a browser."""
    found: dict[str, list[float]] = {"painted": [], "sortable": [], "between": [], "click": []}
    with chromium() as start:
        for _ in range(repeat):
            browser = start()
            tab = browser.new_page(viewport={"width": 1300, "height": 900})
            tab.goto(page.as_uri())
            tab.wait_for_function('() => performance.getEntriesByName("first-contentful-paint").length')
            times = tab.evaluate(TIMES)
            found["painted"].append(times["painted"])
            found["sortable"].append(times["sortable"])
            found["between"].append(max(0.0, times["sortable"] - times["painted"]))
            found["click"].append(tab.evaluate(CLICK))
            version = browser.version
            browser.close()
    return {"page_mb": page.stat().st_size / 1e6, "chromium": version, **found}


def parse() -> argparse.Namespace:
    """The options."""
    parser = make_parser(__doc__)
    parser.add_argument("--folder", type=Path, default=Path("docs/results/table1"), help="runs, default: docs/results/table1")
    parser.add_argument("--repeat", type=whole, default=5, help="how often the page is loaded, default: 5")
    return parser.parse_args()


def main() -> None:
    """Run the benchmark."""
    options = parse()
    machine, console = describe_machine(), make_console()
    with TemporaryDirectory() as name:
        report = make_report([options.folder], out=Path(name))
        found = measure(report.path, options.repeat)
    found["configurations"], found["rounds"] = len(report.study.table), len(report.study.rounds)
    table = make_table([""], ["median (lowest to highest)", "target"])
    table.add_row(f"page of {found['configurations']} configurations, {found['rounds']} rounds", f"{found['page_mb']:.2f} MB", "6 MB")
    for key, title in (("painted", "first paint"), ("sortable", "tables can be sorted"), ("between", "from one to the other")):
        table.add_row(title, f"{spread(found[key], '.0f')} ms", "1,000 ms" if key == "between" else "")
    table.add_row("a click on a heading, until it is drawn", f"{spread(found['click'], '.0f')} ms", "")
    print_table(f"{in_words(machine)}, Chromium {found['chromium']}", table, console)
    write(options.json, "page", machine, found)


if __name__ == "__main__":
    run(main)
