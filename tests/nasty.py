"""Text that something would interpret, for the tests of whatever shows or reads text from outside."""

from collections.abc import Iterator
from contextlib import contextmanager

from hypothesis import strategies as st

from digitcmp import inert
from digitcmp.config.messages import one_line
from digitcmp.errors import DigitcmpError

NASTY = [
    "$x_$",
    r"$\bad{$",
    "a $ b",
    "\x1b[31mred\x1b[0m",
    "\x1b]0;title\x07",
    "bell\x07",
    "\u202eright to left\u202c",
    "\u2066isolated",
    "=cmd|'/c calc'!A0",
    "+1+1",
    "-2+3",
    "@SUM(A1)",
    "＝1",
    "carriage\rreturn",
    "new\nline",
    "next\x85line",
    "line\u2028separator",
    "nul\x00",
    "\ud800",
    "\udcff\udcfe",
    "[/bn]",
    "net [bn]",
    "[red]net[/red]",
    ":smile:",
    "a" * 10_000,
    "word " * 2_000,
    "<script>alert(1)</script>",
    "&lt;b&gt;",
    "[link](javascript:alert(1))",
    "[x]: http://127.0.0.1",
    "`code` *bold* _soft_ ~gone~ | cell",
    "# title",
    r"\input{/etc/passwd}",
    "% comment\n\\input{x}",
    "a & b # c ^ d ~ e",
    "_hidden",
    "- [ ] task",
    "x: {y: z}",
    "--- # yaml",
    "${oc.env:HOME}",
    "../../up",
    "`$(touch x)`",
    "漢字 العربية 🙂",
    " ",
    "",
]
TEXTS = st.one_of(st.sampled_from(NASTY), st.text(st.characters(), max_size=40))  # lone surrogates and control characters included


@contextmanager
def at_most_refused() -> Iterator[None]:
    """What is done here works, or is refused in one line that a terminal shows as it is."""
    try:
        yield
    except DigitcmpError as error:
        told = one_line(error)
        if not (told and told.isprintable() and len(told) <= inert.LINE):
            raise AssertionError(f"this is no clear line: {told!r}") from error
