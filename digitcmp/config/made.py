"""From trees of keys to the dataclasses that they are of, some of which are somebody's own."""

from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from digitcmp.errors import ConfigError, DigitcmpError


def object_of(where: str, tree: Any) -> Any:
    """The objects of a tree. Raises what OmegaConf raises; and ConfigError, which begins with `where`, for a dataclass of somebody's own
    that fails while it is made (`__post_init__`)."""
    try:
        return OmegaConf.to_object(tree)
    except (OmegaConfBaseException, DigitcmpError):
        raise
    except Exception as error:
        raise ConfigError(f"{where}: its keys cannot be taken ({type(error).__name__}: {error})") from error
