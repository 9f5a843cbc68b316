"""Passwords in the URLs of storages and trackers: kept out of everything that is written or shown.

A URL enters on the command line, and there (`into_environment`) one that holds a password is put into the environment of this process
and of those that it starts; Hydra, which writes what it was told into its own files, is told where to look for it. A URL with a
password in a YAML file is refused (`check_storage`). What is shown all the same, such as the errors of a database, passes
`without_passwords`.
"""

import re
from collections.abc import MutableMapping, Sequence

from digitcmp.errors import ConfigError

VARIABLE = "DIGITCMP_STORAGE"
REFERENCE = f"${{oc.env:{VARIABLE}}}"
MASK = "***"
OURS = "://USER:PASSWORD@"  # in advice behind what is shown: no password reaches to it
KEY = re.compile(r"[+~]*[\w./]*stor[\w./]*", re.IGNORECASE)  # also a mistyped one
OF_CALLBACKS = re.compile(r"\+*(callbacks\.[\w.-]+)")
SCHEME = re.compile(r"^[\w+.-]*:/*")
# user (perhaps none), password (which may hold nearly everything), up to the last @; a path, as in sqlite:///a:b@c, has no user
USER = re.compile(r"(://(?!/)[^\s:@'\"]*):(?!\s|\*\*\*@|PASSWORD@)(.*)@", re.DOTALL)
QUERY = re.compile(r"\b(\w*pass(?:word|wd)?)=(?!\*\*\*)[^&'\"]*", re.IGNORECASE)


def without_passwords(text: str) -> str:
    """A text in which the passwords of URLs are hidden: all that may belong to one, rather too much than too little."""
    return OURS.join(QUERY.sub(rf"\1={MASK}", USER.sub(rf"\1:{MASK}@", part)) for part in text.split(OURS))


def holds_password(url: str) -> bool:
    """Whether there is a password in a URL, however mistyped, also without its scheme. The path of a file may hold anything else."""
    if url.startswith(("sqlite:///", "journal:///")):
        return QUERY.search(url) is not None
    rest = SCHEME.sub("", url, count=1) if "://" in url else url
    return re.match(r".*:.*@", rest, re.DOTALL) is not None or QUERY.search(url) is not None


def into_environment(arguments: Sequence[str], environment: MutableMapping[str, str]) -> list[str]:
    """The arguments of a command line, with a reference to the environment in place of a URL that holds a password."""
    told = []
    for argument in arguments:
        key, _, value = argument.partition("=")
        url = unquoted(value)
        tracker = OF_CALLBACKS.fullmatch(key)
        if (tracker or KEY.fullmatch(key)) and not url.startswith(("${", "{", "[")) and holds_password(url):
            name = "DIGITCMP_" + re.sub(r"\W", "_", tracker[1]).upper() if tracker else VARIABLE
            environment[name] = url
            argument = f"{key}={REFERENCE.replace(VARIABLE, name)}"
        told.append(argument)
    return told


def unquoted(value: str) -> str:
    """A value of Hydra's command line without its quotes."""
    for quote in "'\"":
        if len(value) > 1 and value[0] == value[-1] == quote:
            return value[1:-1].replace(f"\\{quote}", quote)
    return value


def check_storage(key: str, value: object) -> None:
    """Raise ConfigError for a URL, as a file has it, or nested in values of it, that holds a password: others may read the results."""
    if isinstance(value, dict):
        for name, part in value.items():
            check_storage(f"{key}.{name}", part)
    elif isinstance(value, str) and ("://" in value or KEY.fullmatch(key)) and not value.startswith("${") and holds_password(value):
        raise ConfigError(
            f"{key}: a password in a file is copied into the folder of every run; put the URL into the environment, and write "
            f"{key}: ${{oc.env:NAME}}"
        )
