"""What verify prints, and the exit code that says the same."""

from collections.abc import Iterable
from typing import Any

import pandas as pd
from rich.console import Console
from rich.table import Table
from rich.text import Text

from digitcmp.config.taken import other_code
from digitcmp.counting import are, counted
from digitcmp.inert import line
from digitcmp.report import cautions
from digitcmp.report.terminal import print_warnings
from digitcmp.terminal import Name, say, tell, words
from digitcmp.verify.draw import Drawn
from digitcmp.verify.retrain import Again
from digitcmp.verify.verdicts import NOT_TRAINED, most_otherwise

STYLES = {"reproduced": "green", "consistent": "green", "different": "red", "too few": "yellow", NOT_TRAINED: "yellow"}
METHODS = """\
points: accuracy now minus that on record, by seed: Hodges-Lehmann estimate with its exact 90 % signed-rank interval. Consistent: \
equivalent within ±{margin:g} points, by two one-sided signed-rank tests (Schuirmann 1987). Different: otherwise, by the signed-rank test, \
or rounds that failed or are untrained by the exact tests of McNemar and Fisher. Each kind at 5 % over all configurations (Holm 1979)."""

LIKE = "the test pairs on record and, but for rounding, its losses in the first epoch"


def print_drawn(drawn: Drawn, console: Console) -> None:
    """Say what is trained again, how long it took when it was first, and what was noted while the records were read."""
    print_warnings(drawn.sweep.warnings, console)
    rounds, seconds = counted(len(drawn.rounds), "round"), words(float(drawn.rounds["seconds"].sum()))
    of = int(drawn.counts["recorded"].sum())
    tell(console, f"{rounds} of {of} again (drawn by --seed {drawn.seed}); on record they took {seconds}", "training ", "none")


def print_code(abouts: Iterable[dict[str, Any]], console: Console) -> None:
    """Say where runs need other code of somebody else's now than they were trained with: what comes out differently is no fault of their
    records. abouts: their run.json."""
    for text in dict.fromkeys(filter(None, map(other_code, abouts))):
        say(console, text, "not the code on record: ", "yellow")


def print_verdicts(table: pd.DataFrame, again: Again, margin: float, console: Console) -> None:
    """Print the verdict on every configuration, why rounds need not be equal, and what so many rounds can show. margin: points."""
    shown = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for title, least in (("configuration", 14), ("rounds", 0), ("verdict", 0), ("", 24)):
        shown.add_column(title, overflow="fold", no_wrap=not least, min_width=least or None)
    for row in table.to_dict("records"):
        verdict = Text(row["verdict"], STYLES[row["verdict"]])
        shown.add_row(Name(row["label"]), f"{row['drawn']} of {row['recorded']}", verdict, Text(line(row["found"])))
    console.print(shown)
    console.print(statement(table))
    if len(broken := table[table["broken"] > 0]):
        console.print(f"failed before their first epoch, so that they were not drawn: {cautions.with_numbers(broken, 'broken')}")
    for text in dict.fromkeys(again.elsewhere.values()):
        say(console, text, "need not be equal to the last digit: ")
    if table["p_equivalent"].notna().any():
        console.print(METHODS.format(margin=margin), style="dim")


def statement(table: pd.DataFrame) -> str:
    """What the rounds that were trained again say of those that were not drawn, in words; of configurations without any, nothing."""
    some = table[table["drawn"] > 0]
    drawn, recorded, wrong, same = (int(some[name].sum()) for name in ("drawn", "recorded", "wrong", "equal"))
    if wrong:
        return f"{wrong} of {counted(drawn, 'round')} trained again {'differs' if wrong == 1 else 'differ'} from the record."
    again = f"{counted(drawn, 'round')} trained again"
    if same == drawn:
        told, most = f"None of {again} differs from its record.", "differ"
    else:
        equal = f"{same} of {again} {are(same)} equal to the last digit; the others have" if same else f"{again}: all have"
        told, most = f"{equal} {LIKE}{'' if same else ', and none is equal to the last digit'}.", "have others"
    if drawn == recorded:
        return f"All rounds on record were trained again. {told}"
    if (some["verdict"] == "different").any():  # by its accuracies: no ground to speak well of the rest
        return told
    return (
        f"{told} Of all {recorded} on record, no more than {100 * most_otherwise(table):.1f} % {most}, with 95 % confidence "
        "(1 - 0.05^(1/m) for m drawn; Hanley and Lippman-Hand 1983)."
    )


def exit_code(table: pd.DataFrame) -> int:
    """1 when a configuration is different, otherwise 2 when one has too few rounds or could not be trained again, otherwise 0."""
    found = set(table["verdict"])
    return 1 if "different" in found else 2 if found & {"too few", NOT_TRAINED} else 0
