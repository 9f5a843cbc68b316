"""The options of the command line: Hydra's own, and the screens of help that are choices of its group hydra/help."""

import argparse
import os
import re
from difflib import get_close_matches
from pathlib import Path
from typing import NoReturn

from hydra._internal.utils import get_args_parser

from digitcmp.arguments import SOURCES
from digitcmp.config.allowed import let_in
from digitcmp.config.known import check_one_choice
from digitcmp.config.meant import option, switch
from digitcmp.config.messages import known_keys
from digitcmp.errors import ConfigError
from digitcmp.plugins.help import KEY_GROUPS

SCREENS = ("choices", "keys", "sweeps")  # --help-SCREEN
OWN = re.compile(r"[~+]*hydra\.callbacks(\.digitcmp|=|$)")  # what would change or remove it
TAKES = {  # what options take that are taken for each other
    "--config-dir": "FOLDER, of YAML files of your own beside those of digitcmp",
    "--config-name": "NAME, of the file to begin with, without .yaml",
    "--config-path": "FOLDER, in place of that of digitcmp",
}
SHELLS = ("bash", "fish", "zsh")


def given(arguments: list[str]) -> list[str]:
    """The arguments in Hydra's words: --help-keys is --help hydra/help=keys, and the groups behind it are in that screen's footer. Raises
    ConfigError for an option that there is not, for one that lacks what it needs, and for a group that there is not."""
    parsed = parse(arguments)
    check_once(arguments)
    let_in(parsed.allow_code or [], parsed.config_dir)
    arguments = without_allowed(arguments, parsed.allow_code or [])
    if parsed.experimental_rerun is not None:
        check_rerun(parsed.experimental_rerun)
    if parsed.shell_completion:
        check_completion(parsed.overrides)
    for text in parsed.overrides:
        if OWN.match(text):
            raise ConfigError(f"{text}: the program's own callback checks what is asked for; leave it as it is, and add others beside it")
        if parsed.multirun and re.fullmatch(r"\+*hydra\.mode=RUN", text):
            raise ConfigError(f"{text}: this is for one run, and --multirun is for many; leave one of them out")
    check_one_choice(parsed.overrides, arguments)
    screens = [f"hydra/help={name}" for name in SCREENS if getattr(parsed, f"help_{name}")]
    if len(screens) > 1:
        asked = " ".join(f"--help-{name.partition('=')[2]}" for name in screens)
        raise ConfigError(f"{asked}: these are screens of their own; ask for one at a time")
    if screens and (words := [text for text in parsed.overrides if re.fullmatch(r"[\w.]+", text)]):
        check_words(screens[0].partition("=")[2], words)
        values = [index + 1 for index, argument in enumerate(arguments) if argument in SOURCES]  # a folder may have the name of a group
        arguments = [argument for index, argument in enumerate(arguments) if argument not in words or index in values]
        screens.append(f"hydra.help.footer='{' '.join(words)}'")  # as that screen has none of its own
    # what callbacks take is theirs to know, so that their keys need no plus sign
    arguments = [f"++{argument}" if re.match(r"callbacks\.\w+[.\w]*=", argument) else argument for argument in arguments]
    return [argument for argument in arguments if not argument.startswith("--help-")] + (["--help", *screens] if screens else [])


def check_words(screen: str, words: list[str]) -> None:
    """Raise ConfigError for a name behind a screen of help that takes none, and for what is no group of keys."""
    if screen != "keys":
        of_group = f"; the keys of that group: --help-keys {words[0]}" if words[0] in KEY_GROUPS else ""
        raise ConfigError(f"--help-{screen} {words[0]}: this screen lists all {screen}, and takes no name; leave it out{of_group}")
    if unknown := [word for word in words if word not in KEY_GROUPS]:
        close = get_close_matches(unknown[0], KEY_GROUPS, n=1)
        nearest = f" (did you mean {close[0]}?)" if close else ""
        raise ConfigError(f"--help-keys {unknown[0]}: there is no such group of keys{nearest}; choose one of {', '.join(KEY_GROUPS)}")


def parse(arguments: list[str]) -> argparse.Namespace:
    """What Hydra will read in the arguments. Raises ConfigError."""
    parser = get_args_parser()
    for name in SCREENS:
        parser.add_argument(f"--help-{name}", action="store_true")
    parser.add_argument("--allow-code", action="append", metavar="MODULE_OR_FILE")
    known = [text for action in parser._actions for text in action.option_strings if text.startswith("--")]

    def error(message: str) -> NoReturn:
        if ambiguous := re.fullmatch(r"ambiguous option: (\S+) could match (.*)", message):
            told = [f"{name} {TAKES[name]}" if name in TAKES else name for name in sorted(ambiguous[2].split(", "))]
            raise ConfigError(f"{ambiguous[1]}: this is the beginning of several options: {'; '.join(told)}")
        value = re.search(r"ignored explicit argument '(.*)'", message)
        if value and (given := next((one for one in arguments if one.startswith("--") and one.endswith(f"={value[1]}")), "")):
            raise ConfigError(switch(given, arguments))
        if together := re.search(r"(-\w): ignored explicit argument '(.*)'", message):  # -multirun, of which -m is an option
            wrong = together[1] + together[2]
        elif message.startswith("unrecognized arguments: "):
            wrong = message.removeprefix("unrecognized arguments: ").split()[0]
        else:
            raise ConfigError(message)
        # what begins with a short option comes without it from Python 3.13 on: -ultirun
        meant = [one for one in arguments if one.startswith(wrong)] + [one for one in arguments if one.endswith(wrong.lstrip("-"))]
        raise ConfigError(option([*meant, wrong][0], arguments, known, known_keys()))

    parser.error = error  # type: ignore[method-assign]
    return parser.parse_intermixed_args(arguments)


def check_once(arguments: list[str]) -> None:
    """Raise ConfigError for an option with a value that is given twice: the first one would count for nothing."""
    once = [action for action in get_args_parser()._actions if action.option_strings and action.nargs != 0]
    for action in once:
        given = [text.partition("=")[0] for text in arguments if text.partition("=")[0] in action.option_strings]
        if len(given) > 1:
            folder = "; another folder of YAML files is added with hydra.searchpath=[FOLDER]" if action.dest == "config_dir" else ""
            raise ConfigError(f"{given[-1]}: this is given {len(given)} times, and only one counts{folder}")


def without_allowed(arguments: list[str], allowed: list[str]) -> list[str]:
    """The arguments without --allow-code, of which Hydra knows nothing."""
    kept = list(arguments)
    for module in allowed:
        for words in (["--allow-code", module], [f"--allow-code={module}"]):
            for index in range(len(kept)):
                if kept[index : index + len(words)] == words:
                    del kept[index : index + len(words)]
                    break
    return kept


def check_rerun(folder: str) -> None:
    """Raise ConfigError for --experimental-rerun of what is no job's folder: it needs what Hydra wrote into it."""
    if not Path(folder, ".hydra", "hydra.yaml").is_file():
        raise ConfigError(f"--experimental-rerun {folder}: this is no folder of a run: it has no .hydra/hydra.yaml")


def check_completion(overrides: list[str]) -> None:
    """Raise ConfigError for --shell-completion without a task and a shell, or away from one."""
    task, _, shell = overrides[0].partition("=") if len(overrides) == 1 else ("", "", "")
    if task not in ("install", "uninstall", "query") or shell not in SHELLS:
        said = " ".join(["--shell-completion", *overrides])
        raise ConfigError(f"{said}: give a task and a shell, as in --shell-completion install=bash (or uninstall; {', '.join(SHELLS)})")
    if task == "query" and "COMP_LINE" not in os.environ:
        raise ConfigError("--shell-completion query: this is for a shell, which puts what was typed into COMP_LINE; use install=bash")
