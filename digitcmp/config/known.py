"""Errors of Hydra's that are known by their text alone, told in one line each: most quote what was typed."""

import re
import shlex
from collections.abc import Sequence

from digitcmp.config.schema import GROUP_SCHEMAS
from digitcmp.config.several import for_many, instead, is_interval, name_of, read
from digitcmp.errors import ConfigError

ADDED = ("experiment", "ladder", "sweeps")  # groups that are chosen with a plus sign
GROUPS = ("model", "data", *GROUP_SCHEMAS, *ADDED)
SEVERAL = re.compile(rf"(\+*(?:{'|'.join(GROUPS)})=)\[(.*)\]")  # Hydra would compose them all into one, of which the last one counts

KNOWN = {
    r"In '((experiment|ladder|sweeps)/.*)': \w+ raised while composing config:\s+Key '\2' not in 'Config'": "{0}.yaml: its first line must "
    "be # @package _global_, so that what follows are keys of the whole configuration",
    r"In '(.*)': \w+ raised while composing config:\s+(.*)": "{0}.yaml: {1}",
    r"Multiple values for (\S+)\. To override a value use 'override \S+: (.*)'": "+{0}={1}: choose it without the plus sign: {0}={1}",
    r"provider=(.*?)(?: in .*)?, path=(.*) is\s+not available": "{0}: there is no folder {1}",
    r"An item is already at '([\w./@-]+)'": "+{0}: there is such a key; leave out the plus sign, as in {0}=VALUE",
    r"Error merging override ~(\S+)": "~{0}: a key cannot be left out; give it another value, as in {0}=VALUE",
    r"Additional config directory '(.*)' not found": "--config-dir {0}: there is no such folder",
    r"Using config_path to specify the config name": "--config-path: this takes a folder; --config-name is a file in it, without .yaml",
    r"Cannot find primary config '(.*)'\.": "--config-name {0}: no folder of configurations has such a file",
}
SEVERAL_GIVEN = re.compile(  # several values where one run is meant, and where a sweep cannot have them
    r"Ambiguous value for argument '(.*)'|Sweep parameters (.*) requires --multirun"
    r"|Sweeping over Hydra's configuration is not supported : (.*)|Error merging override (\+*hydra\.sweeper\.params\..*)"
)
UNKNOWN_KEY = re.compile(
    r"In '(.*)': \w+ raised while composing config:\s+Key '(.*)' not in '(\w+)'(?:\. Did you mean(?: one of)?: (.*)\?)?"
)
NO_NULL = re.compile(r"while evaluating '(\w+)\((.*)\)': mismatch type argument .*: NoneType is incompatible")
LISTING = ("choice", "shuffle", "sort")  # functions of the values that they list
PARTS = {  # of a configuration, by the dataclasses that these texts name; of others there is one in a file
    "ConvLayer": "a layer of images",
    "DenseLayer": "a layer of features",
    "DigitHead": "digit_head",
    "AuxHead": "a head of aux_heads",
    "Comparator": "comparator",
    "ModelConfig": "a network",
    "LossTerm": "a term of loss.terms",
    "ParameterGroup": "a group of optimizer.groups",
}


def unknown_in_file(text: str) -> str:
    """The error of a key that there is not, in a file; empty for any other, and where the file lacks its first line."""
    found = UNKNOWN_KEY.search(text)
    if not found or (found[3] == "Config" and found[1].partition("/")[0] in ADDED):
        return ""
    meant = f" (did you mean {found[4]}?)".replace("'", "").replace(", ", " or ") if found[4] else ""
    return f"{found[1]}.yaml: {found[2]}: there is no such key in {PARTS.get(found[3], 'this file')}{meant}"


def no_null(override: str, text: str) -> str:
    """The error of a function of Hydra's that was given null, which a list of values may have; empty for any other. override: as typed."""
    if not (found := NO_NULL.search(text)):
        return ""
    key, name, values = override.partition("=")[0], found[1], re.sub(r",\s*\w+\s*=[^,]*", "", found[2])
    listed = f"; write {key}={values}" if name in LISTING and "," in values and not set(values) & {*"()"} else ""
    return f"{override}: {name}() takes no null{listed}"


def within_list(text: str, arguments: Sequence[str]) -> str:
    """The error of a name where a list's entry has a number; empty for any other."""
    if found := re.search(r"invalid literal for int\(\) with base 10: '(\w+)'", text):
        for given in arguments:
            head, word, _ = given.lstrip("+").partition("=")[0].partition(f".{found[1]}")
            if word:
                return f"{given}: {head} is a list; say which of its entries is meant, as in {head}.0{word}"
    return ""


def check_one_choice(overrides: Sequence[str], arguments: Sequence[str] = ()) -> None:
    """Raise ConfigError for a list of choices where one is taken, and for several named sweeps. arguments: what was typed, if a sweep of
    them can have been meant."""
    for text in overrides:
        if name_of(text) == "sweeps" and read(text) is not None:
            raise ConfigError(instead(text, arguments or [text]))
        if several := SEVERAL.fullmatch(text):
            meant = [several[1] + several[2] if argument == text else argument for argument in arguments]
            raise ConfigError(f"{text}: a group takes one choice; " + (f"for a run each: {for_many(meant)}" if meant else "give it one"))


def known_text(text: str, arguments: Sequence[str]) -> str:
    """Errors that are known by their text alone, as sweep syntax that Hydra answers with an internal error; empty for any other."""
    if told := unknown_in_file(text):
        return told
    for pattern, line_of in KNOWN.items():
        if found := re.search(pattern, text):
            return line_of.format(*found.groups())
    if found := SEVERAL_GIVEN.search(text):
        given = next(filter(None, found.groups()))
        return instead(given[1:-1] if given[0] == given[-1] == "'" else given, arguments)
    if "Config group override must be" in text or "argument of type 'int' is not iterable" in text:
        given = [one for one in arguments if (name := one.lstrip("+").partition("=")[0]) in GROUPS or "/" in name]
        if not given:
            return f"{shlex.join(one for one in arguments if one.startswith('='))}: a value needs a key, as in seed=3"
        return f"{' '.join(given)}: a group takes the name of a choice, as in model=net2; the choices are in --help"
    if re.search(r"Primary config (module .* not|directory not) found", text):
        return (
            f"--config-path {value_of(arguments, '--config-path', '-cp')}: there is no such folder in digitcmp; "
            "--config-dir names one of your own, beside those of digitcmp"
        )
    called = " ".join(argument for argument in arguments if "(" in argument)  # calls of Hydra's functions, such as range(2)
    if "does not support sweep type" in text:
        return instead(next((one for one in arguments if is_interval(one)), called), arguments)
    if "Unexpected type annotation: set" in text or "range()" in text:
        return f"{called}: this sweep cannot be read; write KEY=1,2,5 or KEY=range(START,STOP,STEP), not both in one"
    return ""


def value_of(arguments: Sequence[str], *names: str) -> str:
    """What an option of these names was given; empty where it is not there."""
    following = [*arguments[1:], ""]
    pairs = [(name, value or after) for (name, _, value), after in zip((one.partition("=") for one in arguments), following, strict=True)]
    return next((value for name, value in pairs if name in names), "")
