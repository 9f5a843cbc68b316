"""What was found, in words: for the terminal and the figure."""

from digitcmp.mistakes.findings import Findings, MistakeRow


def wrong(findings: Findings) -> str:
    """12 of 1,000 test pairs are answered wrongly, in 1 round."""
    count, rounds = len(findings.mistakes), len(findings.rounds)
    verb, plural = "is" if count == 1 else "are", "s" * (rounds > 1)
    return f"{count:,} of {findings.pairs:,} test pairs {verb} answered wrongly, in {rounds} round{plural}"


def kinds(findings: Findings) -> str:
    """How many mistakes there are of each kind; nothing without mistakes or without digit head."""
    counts = findings.kinds() if findings.mistakes else {}
    return ", ".join(f"{kind}: {count:,}" for kind, count in counts.items())


def question(row: MistakeRow, relation: str) -> str:
    """3 ≤ 5? says no."""
    return f"{row.first} {relation} {row.second}? says {'yes' if row.answer else 'no'}"


def sureness(row: MistakeRow) -> str:
    """How sure the network was of its answer, in whole per cent."""
    return ">99 %" if row.sure >= 0.995 else f"{100 * row.sure:.0f} %"
