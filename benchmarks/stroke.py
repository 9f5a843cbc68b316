"""How long the demo's page takes from a stroke until the answer to it is drawn, in Chromium.

python -m benchmarks.stroke                                    of a small decoder and net2, trained for an epoch on the bundled digits
python -m benchmarks.stroke outputs/reads                      of the networks of runs

Each stroke is a line on the first canvas, and its time begins with its last pointer event: the picture is sent, the networks answer, the
page shows it. The second canvas has a line from the beginning.
"""

import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import quantiles
from tempfile import TemporaryDirectory
from threading import Thread
from typing import Any

from benchmarks.browser import chromium
from benchmarks.common import make_console, make_parser, make_table, print_table, run, spread, whole, write
from benchmarks.machine import describe_machine, in_words
from digitcmp.demo.networks import Networks
from digitcmp.demo.server import Server

NETWORKS = {"reads": ["model=decoder_small", "aux_weight=1"], "compares": ["model=net2"]}
QUIET = 300  # milliseconds without a new answer, after which the last one was that to the stroke
# times of the last pointer event on a canvas, and of the frame after the last answer
WATCH = """() => {
  window.times = {stroke: 0, answer: 0};
  for (const canvas of document.querySelectorAll(".pair canvas"))
    for (const name of ["pointerdown", "pointermove"])
      canvas.addEventListener(name, (event) => { if (event.buttons) times.stroke = performance.now(); }, true);
  const frame = () => requestAnimationFrame(() => { times.answer = performance.now(); });
  new MutationObserver(frame).observe(document.getElementById("networks"), {childList: true, subtree: true, characterData: true});
}"""
SETTLED = f"() => times.answer > times.stroke && performance.now() - times.answer > {QUIET}"


def train(folder: Path) -> list[Path]:
    """Two small networks, kept."""
    for name, overrides in NETWORKS.items():
        command = [sys.executable, "-m", "digitcmp", *overrides, "epochs=1", "save_model=true", f"hydra.run.dir={folder / name}"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return [folder / name for name in NETWORKS]


def draw(page: Any, place: str, ends: Sequence[tuple[float, float]]) -> None:
    """A line on a canvas; ends: as parts of its width."""
    box = page.locator(f"#{place}").bounding_box()
    (left, top), (right, bottom) = ((box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in ends)
    page.mouse.move(left, top)
    page.mouse.down()
    page.mouse.move(right, bottom, steps=3)
    page.mouse.up()


def measure(folders: Sequence[Path], strokes: int) -> list[float]:
    """Milliseconds of each stroke."""
    found = []
    with Server(Networks(folders, None), 0) as server, chromium() as start:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            browser = start()
            page = browser.new_page(viewport={"width": 1100, "height": 900})
            page.goto(server.url)
            page.wait_for_selector("article")
            page.evaluate(WATCH)
            draw(page, "second", [(0.5, 0.1), (0.5, 0.9)])
            for number in range(strokes + 1):
                draw(page, "first", [(0.2 + 0.6 * number / strokes, 0.2), (0.4, 0.9)])
                page.wait_for_function(SETTLED)
                found.append(page.evaluate("() => times.answer - times.stroke"))
                page.click("#clear-first")
            browser.close()
        finally:
            server.shutdown()
            thread.join()
    return found[1:]  # the first one has waited for what is used for the first time


def parse() -> argparse.Namespace:
    """The options."""
    parser = make_parser(__doc__)
    parser.add_argument("runs", nargs="*", type=Path, metavar="RUN_DIR", help="with networks; default: two small ones are trained")
    parser.add_argument("--strokes", type=whole, default=50, help="how many, default: 50")
    return parser.parse_args()


def main() -> None:
    """Run the benchmark."""
    options = parse()
    machine, console = describe_machine(), make_console()
    with TemporaryDirectory() as name:
        found = measure(options.runs or train(Path(name)), options.strokes)
    table = make_table([""], ["median (lowest to highest)", "of 10, the slowest", "target"])
    slow = quantiles(found, n=10)[-1] if len(found) > 1 else found[0]
    table.add_row(f"from a stroke to its answer, {len(found)} strokes", f"{spread(found, '.0f')} ms", f"{slow:.0f} ms", "100 ms")
    print_table(in_words(machine), table, console)
    write(options.json, "stroke", machine, {"stroke_ms": found})


if __name__ == "__main__":
    run(main)
