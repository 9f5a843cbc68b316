"""Which callbacks a configuration asks for, where their classes come from, and what is let in."""

from collections.abc import Mapping
from difflib import get_close_matches
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from digitcmp.config.allowed import OWN, allowed, files
from digitcmp.config.offered import offers
from digitcmp.errors import ConfigError
from digitcmp.experiment.callbacks import Callback

GROUP = "digitcmp.callbacks"  # of entry points
OURS = {  # the class of each tracker, and the extra of this package that it needs
    "tensorboard": ("digitcmp.trackers.tensorboard:TensorBoard", "tensorboard"),
    "mlflow": ("digitcmp.trackers.mlflow:MLflow", "mlflow"),
    "wandb": ("digitcmp.trackers.wandb:WandB", "wandb"),
}


def check(callbacks: Mapping[str, Any]) -> None:
    """Raise ConfigError for callbacks that cannot be made: before anything is trained. Those that were made are ended."""
    for name, options in wanted(callbacks).items():
        made = make_one(name, options)
        try:
            made.on_end()
        except Exception as error:  # whatever a class of somebody else's raises
            raise ConfigError(f"callbacks.{name} cannot be ended: {type(error).__name__}: {error}") from error


def make(callbacks: Mapping[str, Any]) -> dict[str, Callback]:
    """The callbacks of a configuration, by their names. Raises ConfigError in one line: for a missing extra, a name that nobody has given,
    code that is not let in, options that a class does not take."""
    return {name: make_one(name, options) for name, options in wanted(callbacks).items()}


def wanted(callbacks: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The options of each callback that is asked for: true is none, false and null leave it out. Raises ConfigError for anything else."""
    found = {
        name: {} if options is True else options for name, options in callbacks.items() if options is not None and options is not False
    }
    for name, options in found.items():
        if not isinstance(options, Mapping):
            raise ConfigError(f"callbacks.{name}={options}: give true, false or options, as in callbacks.{name}.KEY=VALUE")
    return {name: dict(options) for name, options in found.items()}


def make_one(name: str, options: dict[str, Any]) -> Callback:
    """One callback. Raises ConfigError."""
    key, target = f"callbacks.{name}", options.pop("target", None)
    try:
        made = find(key, name, target)(**options)
    except ConfigError:
        raise
    except ImportError as error:
        extra = OURS.get(name, ("", ""))[1] if target is None else ""
        advice = f"; install the extra that it needs: pip install 'digitcmp[{extra}]'" if extra else ""
        raise ConfigError(f"{key} cannot be imported ({error}){advice}") from error
    except Exception as error:  # whatever a class of somebody else's raises
        raise ConfigError(f"{key} cannot be made: {type(error).__name__}: {error}") from error
    if not isinstance(made, Callback):
        raise ConfigError(f"{key} is a {type(made).__name__}; a callback is a digitcmp.experiment.callbacks.Callback")
    return made


def find(key: str, name: str, target: str | None) -> Any:
    """The class of a callback. Raises ConfigError, and ImportError."""
    if target is not None:
        return load(checked(key, str(target)))
    if name in OURS:
        return load(OURS[name][0])
    installed = entry_points(group=GROUP)
    if name in installed.names:
        return installed[name].load()
    known = sorted({*OURS, *installed.names})
    near = f"did you mean callbacks.{close[0]}?" if (close := get_close_matches(name, known, n=1)) else f"there are {', '.join(known)}"
    raise ConfigError(f"{key}: there is no such callback; {near} A class of your own: {key}.target=package.module:Class")


def checked(key: str, target: str) -> str:
    """A target that is one, and is let in. Raises ConfigError."""
    module, colon, name = target.partition(":")
    if not (colon and name.isidentifier() and all(part.isidentifier() for part in module.split("."))):
        raise ConfigError(f"{key}.target={target}: this is no class; give package.module:Class")
    own = module.removeprefix(OWN) if module.startswith(OWN) else None
    if own is not None and own in (file.stem for file in files()):
        offers()  # where Python finds the file from here on
    elif not any(module == text or module.startswith(f"{text}.") for text in allowed()):
        add = module if own is None else f"{own}.py, with its folder"
        raise ConfigError(f"{key}.target={target}: code that is not digitcmp's own is run only where it is let in; add --allow-code {add}")
    return target


def load(target: str) -> Any:
    """The class package.module:Class. Raises ImportError."""
    module, _, name = target.partition(":")
    found = getattr(import_module(module), name, None)
    if found is None:
        raise ImportError(f"{module} has no {name}")
    return found
