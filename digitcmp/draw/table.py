"""The layers of a network as rows: what each is, what it reads, what comes out, and how many parameters it learns."""

import re
from dataclasses import dataclass
from typing import Any

import pandas as pd
from rich.console import Console
from rich.table import Table

from digitcmp import inert
from digitcmp.config.blocks import BLOCKS, pair
from digitcmp.config.graph import ANSWER, DIGITS, Part, graph, resolved
from digitcmp.config.schema import SIZE, AuxHead, Comparator, ConvLayer, DenseLayer, DigitHead, ModelConfig
from digitcmp.counting import counted
from digitcmp.report.tables import to_markdown
from digitcmp.terminal import say

ENDS = {ANSWER: "the answer", DIGITS: "the digit loss"}


@dataclass(frozen=True)
class Layer:
    """A part of a network. steps: what it does, one thing after the other; each: for one digit at a time; copies: of its parameters."""

    part: Part
    steps: tuple[str, ...]
    each: bool
    copies: int

    @property
    def shape(self) -> str:
        """What comes out."""
        return " × ".join(map(str, self.part.outputs))

    @property
    def where(self) -> str:
        """For which digits."""
        if not self.each:
            return "both"
        return "each, shared" if self.copies == 1 else "each, its own"


def layers(model: ModelConfig, size: int = SIZE) -> list[Layer]:
    """The parts of a network that do something, in the order in which they are used. size: pixels, height and width of a digit. Raises
    ConfigError for a network that cannot be."""
    parts = [part for part in graph(model, size) if part.name not in ENDS]
    return [Layer(part, steps(configured(model, part.name), model), is_each(model, part.name), copies(model, part.name)) for part in parts]


def configured(model: ModelConfig, name: str) -> Any:
    """What stands at a key such as model.tower[0]."""
    found: Any = model
    for key, index in re.findall(r"(?<=\.)(\w+)(?:\[(\d+)\])?", name):
        found = getattr(found, key)
        found = found[int(index)] if index else found
    return found


def is_each(model: ModelConfig, name: str) -> bool:
    """Whether a part looks at one digit at a time."""
    of_digits = name.startswith(("model.tower", "model.digit_dense", "model.aux_heads"))
    return not model.joint and (of_digits or (name.startswith("model.digit_head") and model.digit_head.reads == "digit"))


def copies(model: ModelConfig, name: str) -> int:
    """How many sets of parameters it has."""
    if not is_each(model, name):
        return 1
    own = model.own_dense and not name.startswith("model.tower")
    return 2 if own or not model.weight_sharing else 1


def steps(layer: Any, model: ModelConfig) -> tuple[str, ...]:
    """What a configured layer does, one thing after the other."""
    if isinstance(layer, ConvLayer | DenseLayer):
        found = resolved(layer, model)
        return tuple(filter(None, (step(name, found) for name in found.order)))
    if isinstance(layer, Comparator) and layer.reads == "posterior":
        return ("sum over the digits' probabilities",)
    outputs = layer.outputs if isinstance(layer, Comparator) else 10
    plain = not isinstance(layer, AuxHead)
    return tuple(
        filter(
            None,
            (
                f"dropout {model.dropout:g}" if isinstance(layer, DigitHead) and layer.drop and model.dropout else "",
                counted(outputs, "logit"),
                f"dropout {model.dropout:g}" if plain and layer.drop_logits and model.dropout else "",
                "batch norm" if plain and layer.norm and model.batchnorm else "",
                "relu" if plain and layer.relu else "",
            ),
        )
    )


def step(name: str, layer: Any) -> str:
    """One step of a layer in words, empty where it does nothing."""
    if name == "norm":
        return "" if layer.norm == "none" else f"{layer.norm.replace('_statistics', '')} norm"
    if name == "drop":
        return f"dropout {layer.drop:g}" if layer.drop else ""
    if name == "activation":
        return layer.activation if getattr(layer, "relu", True) and layer.activation != "none" else ""
    if name == "pool":
        return "" if pair(layer.pool) == (1, 1) and layer.pooling == "max" else f"{layer.pooling.replace('_', ' ')} pool {size(layer.pool)}"
    if isinstance(layer, DenseLayer):
        return layer.kind if layer.kind != "dense" else "dense"
    return f"{layer.kind} {size(layer.kernel)}" if "kernel" in BLOCKS[layer.kind].keys else str(layer.kind)


def size(window: Any) -> str:
    """Height and width of a window."""
    return "×".join(map(str, pair(window)))


def rows(found: list[Layer]) -> list[dict[str, str]]:
    """As people read them."""
    return [
        {
            "layer": layer.part.name.removeprefix("model."),
            "digits": layer.where,
            "what": ", ".join(layer.steps),
            "comes out": layer.shape,
            "parameters": f"{layer.part.parameters:,}",
        }
        for layer in found
    ]


def total(found: list[Layer]) -> int:
    """How many parameters there are."""
    return sum(layer.part.parameters for layer in found)


def print_layers(model: ModelConfig, found: list[Layer], console: Console) -> None:
    """Print the table, and the number of parameters."""
    table = Table(box=None, padding=(0, 2, 0, 0))
    shown = rows(found)
    for name in shown[0]:
        table.add_column(name, justify="right" if name in ("comes out", "parameters") else "left", overflow="fold")
    for row in shown:
        table.add_row(*map(inert.line, row.values()))
    console.print(table)
    say(console, f"{total(found):,} parameters", f"{inert.line(model.name)}: ", "bold")


def as_markdown(model: ModelConfig, size: int, found: list[Layer]) -> str:
    """The table as Markdown, with the picture."""
    head = f"# {inert.markdown(model.name)}\n\n{total(found):,} parameters. Images: 2 × {size} × {size}.\n\n"
    return f"{head}{to_markdown(pd.DataFrame(rows(found)))}\n![{inert.markdown(model.name)}]({inert.markdown(model.name)}.svg)\n"
