"""How a key of a configuration is declared: its default, what it means, and what it takes."""

from collections.abc import Callable, Mapping
from dataclasses import field
from typing import Any

MISSING: Any = "???"  # a value that must be given, as OmegaConf has it, whose import takes a while
MOST_SEED = 2**53  # all whole numbers up to it are exact in every program that reads the tables


def key(
    default: Any = MISSING,
    *,
    help: str,
    factory: Callable[[], Any] | None = None,
    choices: tuple[Any, ...] = (),
    word: str | None = None,
    execution: bool = False,
    text: str = "name",
    takes: str | None = None,
    **limits: float,
) -> Any:
    """Declare a configuration key with its choices or the limits of its values: at_least, above, at_most, below.

    help: what it means, in a line without a full stop, for `--help-keys`. Where null says something, it ends with `null: …`.
    factory: what makes its default, for lists and for keys that have keys.
    word: what may be given in place of a number.
    execution: whether it only says where, how or how often rounds are trained, and so changes no number of a round. Such keys
    are no part of a configuration's identity (`digitcmp.config.identity`) nor of a folder's name, and `--help-keys` lists them apart.
    takes: what a key takes that is declared as Any: a pair (a whole number, or one for each direction), a pair or null, or a share (true,
    false, a number).
    text: what a text is, a name, a folder or an option of another program (`digitcmp.names`), or any other.
    """
    metadata = {"help": help, "limits": limits, "choices": choices, "word": word, "execution": execution, "text": text, "takes": takes}
    return field(default=default, metadata=metadata) if factory is None else field(default_factory=factory, metadata=metadata)


def range_in_words(metadata: Mapping[str, Any]) -> str:
    """What a key takes, 'at least 0, below 1' or 'le, gt'; empty for whatever has its type."""
    if metadata.get("choices"):
        return ", ".join(str(one).lower() if isinstance(one, bool) else str(one) for one in metadata["choices"])
    words = limits_in_words(metadata.get("limits", {}))
    return ", ".join(words) + (f", or {metadata['word']}" if metadata.get("word") else "")


def limits_in_words(limits: Mapping[str, float]) -> list[str]:
    """Limits of a number: 'at least 0', 'below 1'."""
    return [f"{name.replace('_', ' ')} {limit:,}" for name, limit in limits.items()]
