"""Text from outside made inert: one function per outlet, used by whoever writes there.

Names, folders, errors and commands are somebody else's text. What an outlet would interpret (control sequences, marks that turn the
writing direction, markup, formulas, mathematics) is shown as text instead; what people can read stays as it is.
"""

import json
import re
from typing import Any

LINE = 1000  # characters of a line on the screen
WORD = 300  # characters of a word in it; paths that are in use are shorter
FORMULA = "=+-@＝＋－＠"  # what a spreadsheet takes for the beginning of a formula
# what means something to it: an underscore within a word does not, a bracket alone neither; :x: is an emoji
MARKDOWN = re.compile(r"[\\`*|~$]|^[#>]|(?<![^\W_])_|_(?![^\W_])|\](?=[(\[:])|:(?=[\w+-]+:)")
ENTITIES = str.maketrans({"&": "&amp;", "<": "&lt;"})
LATEX = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "±": r"$\pm$", "–": "--", "<": "$<$", ">": "$>$"}
LATEX |= {"∞": r"$\infty$", "−": "$-$", "×": r"$\times$", "÷": r"$\div$", "·": r"$\cdot$", "≤": r"$\leq$", "≥": r"$\geq$", "…": r"\ldots{}"}
LATEX |= {"“": "``", "”": "''", "‘": "`", "’": "'", "→": r"$\to$", "↓": r"$\downarrow$", "²": "$^2$"}
LATEX |= {character: "\\" + character for character in "&%$#_{}"}
LATEX |= {character: f"{{{character}}}" for character in "[]*"}  # what follows the end of a row would be an option of it


def visible(text: str) -> str:
    """A text in one line, in which every character that cannot be seen is written as its escape: \\x1b, \\n, \\u202e, \\ud800."""
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text)


def storable(text: str) -> str:
    """For a column of a frame: lone surrogates, which no encoding has, as their escapes; everything else as it is."""
    return text.encode(errors="backslashreplace").decode()


def shortened(text: str, most: int) -> str:
    """A text of at most so many characters, which has lost its middle where it was longer: the end often says what to do."""
    return text if len(text) <= most else f"{text[: most * 2 // 3]} … {text[len(text) - (most // 3 - 3) :]}"


def line(text: str) -> str:
    """For the terminal: one line, long words and long lines cut."""
    return shortened(re.sub(rf"\S{{{WORD + 1},}}", lambda word: shortened(word[0], WORD), visible(text)), LINE)


def html(value: object) -> object:
    """For a template that escapes by itself (jinja2's `finalize`): text that is not markup already is made visible."""
    return visible(value) if isinstance(value, str) and not hasattr(value, "__html__") else value


def script(values: Any) -> str:
    """For a data block of a page (`<script type="application/json">`): plain values as JSON whose texts are visible, and in which nothing
    ends the block or opens a comment. Raises ValueError for numbers that JSON does not have."""
    return json.dumps(shown(values), separators=(",", ":"), allow_nan=False).replace("<", r"\u003c")


def shown(values: Any) -> Any:
    """Nested plain values, their texts and keys made visible."""
    if isinstance(values, dict):
        return {visible(key): shown(value) for key, value in values.items()}
    if isinstance(values, list):
        return [shown(value) for value in values]
    return visible(values) if isinstance(values, str) else values


def csv(text: str) -> str:
    """For a cell of a CSV file: no second line, and no formula when a spreadsheet opens it (a dash alone is none)."""
    shown = visible(text)
    return f"'{shown}" if shown.startswith(tuple(FORMULA)) and len(shown) > 1 else shown


def latex(text: str) -> str:
    """Text in which LaTeX sees no commands; a character that its standard fonts lack is told by its number.

    Source of the list: LaTeX2e, an unofficial reference manual, section 23.1."""
    return "".join(LATEX.get(one) or (one if one.isascii() or "À" <= one <= "ÿ" else f"U+{ord(one):04X}") for one in visible(text))


def markdown(text: str) -> str:
    """Text in which Markdown (with GitHub's tables, tags and mathematics) sees none."""
    return MARKDOWN.sub(r"\\\g<0>", visible(text)).translate(ENTITIES)


def figure(text: str) -> str:
    """For matplotlib: dollar signs start no mathematics, and a name that begins with an underscore is not left out of a legend.

    Lines stay lines. To be called after a text was wrapped, as nothing may come between a backslash and its dollar sign.
    """
    shown = "\n".join(visible(part) for part in text.split("\n")).replace("$", r"\$")
    return f" {shown}" if not shown or shown[0] == "_" else shown
