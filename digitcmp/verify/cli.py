"""``python -m digitcmp.verify FOLDER``: do the rounds on record come out again?"""

import secrets
import sys
from pathlib import Path

from digitcmp.arguments import Arguments
from digitcmp.config.schema import Config
from digitcmp.errors import RunError
from digitcmp.report.command import exit_codes

DESCRIPTION = """\
Draw some rounds of every configuration on record at or below a folder (of a
run, a sweep, or a published result), train them again in a temporary folder,
and say of every configuration what came of it:

  reproduced   all epochs are as on record, to the last digit
  consistent   on another platform or executor: accuracies are equivalent within the margin, no more rounds untrained than by chance
  different    neither; what differs first is named
  too few      these rounds show neither
  not trained  its data are not here, or this version does not know it; the reason is named

What a network is made of is on record: it need not be in conf/ any more.
Nothing is written into the folder. Methods: docs/verifying.md.
"""
EXAMPLES = """\
exit codes: 0 all reproduced or consistent; 1 some different; 2 some too few
or not trained, or runs that could not be read

examples:
  python -m digitcmp.verify docs/results/table1
  python -m digitcmp.verify outputs/table1 --rounds 30 --seed 1
  python -m digitcmp.verify outputs/best --engine stacked --margin 1
"""


def parser() -> Arguments:
    """The command line's arguments."""
    arguments = Arguments("python -m digitcmp.verify", description=DESCRIPTION, epilog=EXAMPLES)
    arguments.add_argument("folder", type=Path, metavar="FOLDER", help="a run's folder, or one that holds runs at any depth")
    arguments.add_argument(
        "--rounds", type=int, default=10, metavar="N", help="how many rounds of each configuration are trained again (default: 10)"
    )
    arguments.add_argument("--seed", type=int, metavar="S", help="of the draw, to repeat it (default: another one each time)")
    arguments.add_argument(
        "--margin", type=float, default=0.5, metavar="POINTS", help="accuracies that differ by less are equivalent (default: 0.5)"
    )
    engines = Config.__dataclass_fields__["engine"].metadata["choices"]
    arguments.add_argument("--engine", choices=engines, help="train with this executor (default: that on record)")
    arguments.add_argument(
        "--root", metavar="FOLDER", help="data.root (default: that of the run, where it is there; DIGITCMP_DATA, or data)"
    )
    return arguments


@exit_codes("the folder is as it was, and nothing else was kept", failed=2)
def main() -> None:
    """Verify, print the verdicts, end with their exit code. See `exit_codes` for errors."""
    arguments = parser().parse_args()
    if arguments.rounds < 1:
        raise RunError(f"--rounds={arguments.rounds}: must be a whole number, at least 1")
    if arguments.seed is not None and arguments.seed < 0:
        raise RunError(f"--seed={arguments.seed}: must be a whole number, at least 0")
    if not 0 < arguments.margin <= 100:
        raise RunError(f"--margin={arguments.margin:g}: must be a number of points above 0, at most 100")
    from digitcmp.experiment import instructions
    from digitcmp.terminal import Terminal, tell
    from digitcmp.verify.draw import draw
    from digitcmp.verify.output import exit_code, print_code, print_drawn, print_verdicts
    from digitcmp.verify.retrain import retrain, trainable
    from digitcmp.verify.verdicts import compare_rounds, verdicts

    console = Terminal()
    drawn = draw(arguments.folder, arguments.rounds, secrets.randbelow(2**32) if arguments.seed is None else arguments.seed)
    print_drawn(drawn, console)
    abouts = [drawn.about(run) for run in drawn.rounds["run_index"].unique()]
    if known := instructions.limit((about.get("platform") or {}).get("cpu_capability") for about in abouts):
        tell(console, f"with {known} alone, as on record; this processor has newer instructions", "computing ", "none")
    configs, reasons = trainable(drawn, arguments.engine, arguments.root)
    drawn = drawn.without(reasons)
    print_code([drawn.about(run) for run in configs], console)
    try:
        again = retrain(drawn, configs, console)
    except KeyboardInterrupt:  # the rounds that it says are kept are in a temporary folder
        raise KeyboardInterrupt from None
    found = verdicts(drawn.counts, compare_rounds(drawn, again), drawn.contradictions, arguments.margin / 100, drawn.reasons)
    print_verdicts(found, again, arguments.margin, console)
    sys.exit(exit_code(found) or (2 if drawn.unread or drawn.reasons else 0))
