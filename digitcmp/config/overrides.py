"""What Hydra was told on the command line."""

from typing import Any, cast

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException


def overrides_of(hydra: Any, kind: str = "task", resolve: bool = False) -> list[str]:
    """The overrides as they were typed. hydra: Hydra's part of the configuration; kind: task, or hydra, for those of its own keys.

    resolve: a reference in one of them stands for its value, for a name that says what a job is; else it stays what it is, as its value may
    be another one in each job. So does one whose value is not known yet (``${hydra.job.num}``).
    """
    given = [str(one) for one in cast(list[Any], OmegaConf.to_container(hydra.overrides[kind], resolve=False))]
    return [known(hydra.overrides[kind], index, text) for index, text in enumerate(given)] if resolve else given


def known(given: Any, index: int, text: str) -> str:
    """The override at this position with the values that it refers to; as it was typed, where one is not known."""
    try:
        return str(given[index])
    except OmegaConfBaseException:
        return text
