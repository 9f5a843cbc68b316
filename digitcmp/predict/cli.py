"""``python -m digitcmp.predict RUN_DIR A.png B.png``: what a kept network says of the digits in two pictures."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from digitcmp.arguments import Arguments
from digitcmp.counting import counted
from digitcmp.data.pictures import read_picture
from digitcmp.errors import RunError
from digitcmp.experiment.kept import kept_seed
from digitcmp.experiment.warned import warn_of_code
from digitcmp.report.command import exit_codes

if TYPE_CHECKING:
    from digitcmp.predict.answers import Kept
    from digitcmp.predict.output import AnswerRow

DESCRIPTION = """\
Ask a network that a run has kept (save_model=true, and single runs of up to ten rounds) about pictures of digits: PNG, JPEG or BMP of any
size, one digit each, dark on light or light on dark. They are brought into the form of the data that the network was trained on. Or about
the pairs of an .npz file: images [N, 2, s, s], uint8 or floats from 0 to 1, ink bright, taken as they are but for their size; and digits
[N, 2], if they are known.
"""
EXAMPLES = """\
examples:
  python -m digitcmp.predict outputs/wsn three.png eight.jpg
  python -m digitcmp.predict outputs/wsn a.png b.png c.png d.png --csv
  python -m digitcmp.predict outputs/wsn pairs.npz --seed 3
"""


def parser() -> Arguments:
    """The command line's arguments."""
    arguments = Arguments("python -m digitcmp.predict", description=DESCRIPTION, epilog=EXAMPLES)
    arguments.add_argument("run", type=Path, metavar="RUN_DIR", help="a run's folder, with its run.json and networks")
    arguments.add_argument("files", type=Path, nargs="+", metavar="FILE", help="pictures, two for each pair; or one .npz file")
    arguments.add_argument("--seed", type=int, metavar="S", help="the network of which seed (default: the run's first)")
    arguments.add_argument("--csv", action="store_true", help="print CSV: a row for each pair")
    return arguments


@exit_codes("nothing was written")
def main() -> None:
    """Print what the network says. Exit codes: see `exit_codes`."""
    arguments = parser().parse_args()
    arrays = [path for path in arguments.files if path.suffix.lower() == ".npz"]
    if arrays and len(arguments.files) > 1:
        raise RunError(f"{arrays[0]}: an .npz file holds all pairs of a command; give it alone")
    if not arrays and len(arguments.files) % 2:
        raise RunError(f"{counted(len(arguments.files), 'picture')}: a pair has two; give two for each")
    warn_of_code(arguments.run)
    kept_seed(arguments.run, arguments.seed)  # what is wrong with these is told before torch is loaded
    for path in () if arrays else arguments.files:
        read_picture(path)
    from digitcmp.predict.answers import load_kept
    from digitcmp.predict.output import csv_of, show
    from digitcmp.terminal import Terminal

    kept = load_kept(arguments.run, arguments.seed)
    rows = of_array(kept, arrays[0]) if arrays else of_pictures(kept, arguments.files)
    if arguments.csv:
        sys.stdout.write(csv_of(rows))
    else:
        show(rows, kept.target, Terminal())


def of_pictures(kept: "Kept", paths: list[Path]) -> "list[AnswerRow]":
    """The answers for pictures, of which every two are a pair. Raises DataError."""
    import torch

    from digitcmp.predict.output import row_of
    from digitcmp.predict.pictures import read_digit

    digits = torch.stack([read_digit(path, kept.source, kept.network.size) for path in paths])
    answers = kept.ask(digits.view(-1, 2, *digits.shape[1:]))
    told = zip(paths[::2], paths[1::2], answers, strict=True)
    return [row_of(str(first), str(second), answer, kept.target) for first, second, answer in told]


def of_array(kept: "Kept", path: Path) -> "list[AnswerRow]":
    """The answers for the pairs of a file. Raises DataError."""
    from digitcmp.predict.arrays import read_pairs
    from digitcmp.predict.output import row_of

    pairs = read_pairs(path, kept.network.size)
    known = [None] * len(pairs.images) if pairs.digits is None else [(first, second) for first, second in pairs.digits.tolist()]
    answers = enumerate(zip(kept.ask(pairs.images), known, strict=True))
    return [row_of(f"{path.name}[{pair}, 0]", f"{path.name}[{pair}, 1]", answer, kept.target, digits) for pair, (answer, digits) in answers]
