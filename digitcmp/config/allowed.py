"""Code that is not digitcmp's own and that no installed package offers: it is run only where --allow-code lets it in. The modules and files
that are let in are in the environment, so that processes that this one starts have them too."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from traceback import walk_tb

from digitcmp.errors import ConfigError
from digitcmp.files import shipped

ALLOWED = "DIGITCMP_ALLOW_CODE"
BEGUN_WITH = "DIGITCMP_CODE"  # in the environment: which versions of files a command and its processes have, FILE=HASH,…
BESIDE = "plugins.py"  # in a folder of YAML files
OWN = "digitcmp.own."  # the modules that files are, in every process that needs them
ENDING = ("digitcmp", "hydra", "hydra_plugins", "argparse")  # packages that end the program when they have done what it was asked for
CHANGED = list[Path]()  # files that were let in, whenever one was found changed since it had been imported
QUITTER = "_sitebuiltins"  # of exit() and quit()


def allowed() -> list[str]:
    """What is let in: modules, and files (*.py)."""
    return [text for text in os.environ.get(ALLOWED, "").split(",") if text]


def code_let_in() -> list[str]:
    """The options that let it in once more, of which Hydra is not told; files as seen from here."""
    return [part for name in allowed() for part in ("--allow-code", os.path.relpath(name) if name.endswith(".py") else name)]


def files() -> tuple[Path, ...]:
    """The files that are let in."""
    return tuple(Path(text).absolute() for text in allowed() if text.endswith(".py"))


def code_here() -> tuple[tuple[str, ...], tuple[Path, ...], int]:
    """Where modules come from in this process, which files are let in, and how many were imported again, as they had been changed: two
    commands of a notebook may differ in that."""
    return tuple(sys.path), files(), len(CHANGED)


def check_begun_with(file: Path, version: str) -> None:
    """Raise ConfigError where the command that this process belongs to has begun with another version of a file."""
    if BEGUN_WITH not in os.environ:
        return
    told = dict(one.rsplit("=", 1) for one in os.environ.get(BEGUN_WITH, "").split(",") if one)
    if (before := told.setdefault(str(file), version)) != version:
        raise ConfigError(
            f"{file} has been changed since the command began ({before} then, {version} now), and the rounds to come would be trained with "
            "other code than those before; change it back, or train all anew in another folder"
        )
    os.environ[BEGUN_WITH] = ",".join(f"{name}={one}" for name, one in told.items())


def let_in(names: Sequence[str], folder: str | Path | None = None) -> None:
    """Let modules and files in, for a command that begins. folder: one of YAML files, which may have a file beside them. Raises ConfigError
    for what is neither, for a file that there is not, for one beside them that is not let in, for a YAML file that would not be read
    (`check_names`), and for modules that are changed and that this process has had before (`offered.renew`)."""
    for name in names:
        if not name.endswith(".py") and not all(part.isidentifier() for part in name.split(".")):
            raise ConfigError(f"--allow-code {name}: this is no module and no file; give package.module or FILE.py")
        if name.endswith(".py") and ("," in name or not Path(name).is_file()):
            raise ConfigError(
                f"--allow-code {name}: there is no such file{' (a comma in its name is none for this)' if ',' in name else ''}"
            )
    if names:
        os.environ[ALLOWED] = ",".join(str(Path(name).absolute()) if name.endswith(".py") else name for name in names)
    if folder is not None and (beside := Path(folder) / BESIDE).is_file() and beside.absolute() not in files():
        raise ConfigError(
            f"{beside}: code that is not digitcmp's own, offered beside these YAML files, is run only where it is let in; "
            f"add --allow-code {beside}"
        )
    if folder is not None:
        check_names(Path(folder))
    from digitcmp.config.offered import renew  # needs what is here

    os.environ[BEGUN_WITH] = ""
    renew()


def check_names(folder: Path) -> None:
    """Raise ConfigError for a YAML file of the user's own that has the name of one of ours and says something else: Hydra would take ours,
    without a word."""
    conf = shipped("conf")
    for ours in sorted(conf.rglob("*.yaml")):
        own = folder / ours.relative_to(conf)
        if own.is_file() and own.read_bytes() != ours.read_bytes():
            *group, name = own.relative_to(folder).with_suffix("").parts
            chosen = f"{'/'.join(group)}={name}" if group else str(own.name)
            raise ConfigError(f"{own}: digitcmp has a file of this name, which would be taken ({chosen}); give yours another name")


def ended_by_others(end: SystemExit) -> str:
    """Where a part that is not digitcmp's own has ended the program, in words: whatever its exit code is, what was asked for was not done.
    Empty where it was ended by us, by Hydra, or by what reads their command lines."""
    frames = [frame for frame, _ in walk_tb(end.__traceback__) if frame.f_globals.get("__name__") != QUITTER]
    module = str(frames[-1].f_globals.get("__name__")) if frames else ""
    if not module or (module.partition(".")[0] in ENDING and not module.startswith(OWN)):
        return ""
    code = frames[-1].f_code
    return f"a part that is not digitcmp's own has ended the program (sys.exit in {code.co_name} of {os.path.relpath(code.co_filename)})"
