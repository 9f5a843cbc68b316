"""Other packages on Hydra's search path: their YAML files, the schemas of what they offer, and choices that need no file."""

import builtins
from pathlib import Path

from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.object_type import ObjectType
from hydra.core.plugins import Plugins
from hydra.plugins.config_source import ConfigResult, ConfigSource
from hydra.plugins.search_path_plugin import SearchPathPlugin
from omegaconf import OmegaConf

from digitcmp.config.blocks import BLOCKS
from digitcmp.config.offered import KINDS, PREFIX, Offer, Package, offers, packages
from digitcmp.config.registry import LOSSES
from digitcmp.config.schema import GROUP_SCHEMAS
from digitcmp.errors import ConfigError
from digitcmp.files import shipped
from digitcmp.screen import complain

SCHEMA = "schema/"
CHOSEN = {group: kind for kind, group in KINDS.items() if group in GROUP_SCHEMAS or group == "data"}  # Hydra's groups, and of which kind


class PackageSource(ConfigSource):
    """What a package adds to our groups: the files below its conf/, `schema/GROUP/NAME` for what it offers with keys, and `GROUP/NAME`
    itself, where there is no such file: with every key at its default.

    Schemas are imported when they are asked for. Raises ConfigError for a choice that another package has, too.
    """

    def __init__(self, provider: str, path: str) -> None:
        super().__init__(provider, path)
        self.package = next(package for package in packages() if package.name == self.path)
        own = [offer for names in offers().values() for several in names.values() for offer in several if offer.package == self.package]
        self.offers = {(offer.group, offer.name): offer for offer in own}

    @staticmethod
    def scheme() -> str:
        return "digitcmp"

    def available(self) -> bool:
        return True

    def file(self, config_path: str) -> Path | None:
        """The file of a choice, if there is one."""
        path = self.package.folder / f"{config_path.removesuffix('.yaml')}.yaml" if self.package.folder else None
        return path if path and path.is_file() and not is_ours(config_path) else None

    def offer(self, config_path: str) -> Offer | None:
        """The offer of a choice or of its schema, if there is one."""
        group, _, name = config_path.removeprefix(SCHEMA).removesuffix(".yaml").rpartition("/")
        found = self.offers.get((CHOSEN.get(group, ""), name))
        return None if found is None or (group == "data" and config_path.startswith(SCHEMA)) or is_ours(f"{group}/{name}") else found

    def load_config(self, config_path: str) -> ConfigResult:
        where = (self.provider, f"{self.scheme()}://{self.path}")
        others = [
            one for package in packages() if (one := PackageSource(package.name, f"digitcmp://{package.name}")).is_config(config_path)
        ]
        if len(others) > 1:
            both = " and ".join(str(source.package) for source in others)
            raise ConfigError(f"{config_path.replace('/', '=', 1)}: {both} both have such a choice; uninstall one of them")
        if path := self.file(config_path):
            text = path.read_text(encoding="utf-8")
            return ConfigResult(
                *where, OmegaConf.create(text) if not text.strip() else OmegaConf.load(path), self._get_header_dict(text[:512])
            )
        offer = self.offer(config_path)
        header: dict[str, str | None] = {"package": None}
        assert offer is not None
        group, _, name = config_path.removesuffix(".yaml").rpartition("/")
        if config_path.startswith(SCHEMA):
            return ConfigResult(*where, OmegaConf.structured(GROUP_SCHEMAS[group.removeprefix(SCHEMA)][offer.name]), header)
        values = {"source": name} if group == "data" else {"defaults": [f"/{SCHEMA}{group}/{name}@_here_", "_self_"]}
        return ConfigResult(*where, OmegaConf.create(values), header)

    def is_group(self, config_path: str) -> bool:
        path = config_path.rstrip("/")
        kind = CHOSEN.get(path.removeprefix(SCHEMA))
        return any(group == kind for group, _ in self.offers) or bool(self.package.folder and (self.package.folder / path).is_dir())

    def is_config(self, config_path: str) -> bool:
        return self.file(config_path) is not None or self.offer(config_path) is not None

    def list(self, config_path: str, results_filter: ObjectType | None) -> builtins.list[str]:
        if results_filter == ObjectType.GROUP:
            return []
        group, folder = config_path.strip("/"), self.package.folder
        files = [path.stem for path in (folder / group).glob("*.yaml")] if folder else []
        names = [name for kind, name in self.offers if kind == CHOSEN.get(group.removeprefix(SCHEMA))]
        return sorted({name for name in [*files, *names] if self.is_config(f"{group}/{name}")})


def is_ours(config_path: str) -> bool:
    """Whether we have such a choice ourselves, which no package replaces."""
    return (shipped("conf") / f"{config_path.removesuffix('.yaml')}.yaml").is_file()


class PackagesPath(SearchPathPlugin):
    """Puts packages that offer something behind our own folder."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        for package in packages():
            search_path.append(str(package), f"{PackageSource.scheme()}://{package.name}")


def register() -> None:
    """Make packages known to Hydra; say what of theirs is left out, as we have it ourselves."""
    Plugins.instance().register(PackageSource)
    Plugins.instance().register(PackagesPath)
    for package in packages():
        for left in left_out(package):
            complain(f"{left} of {package} is left out: digitcmp has one of this name")


def left_out(package: Package) -> builtins.list[str]:
    """What of a package nobody can choose, as the name is ours."""
    named = [
        (group, name) for group, names in offers().items() for name, several in names.items() if package in [one.package for one in several]
    ]
    files = [path.relative_to(package.folder).with_suffix("") for path in sorted(package.folder.glob("*/*.yaml"))] if package.folder else []
    offered = [f"{PREFIX}{group} {name}" for group, name in named if name in own_names(group)]
    return [*offered, *(f"conf/{path}.yaml" for path in files if is_ours(str(path)))]


def own_names(kind: str) -> builtins.list[str]:
    """The names of this kind that are ours."""
    if kind in ("blocks", "losses"):
        return [*(BLOCKS.own if kind == "blocks" else LOSSES.own)]
    return [path.stem for path in (shipped("conf") / KINDS[kind]).glob("*.yaml")]


def shown() -> builtins.list[tuple[str, str]]:
    """What each package adds, in a line: its name, and the choices."""
    return [(package.name, " ".join(choices)) for package in packages() if (choices := added(package))]


def added(package: Package) -> builtins.list[str]:
    """The choices that a package adds, as they are typed, and its blocks and losses."""
    source = PackageSource(package.name, f"digitcmp://{package.name}")
    folders = [path.name for path in sorted(package.folder.iterdir()) if path.is_dir()] if package.folder else []
    groups = dict.fromkeys([*folders, *(group for group, kind in CHOSEN.items() if any(kind == one for one, _ in source.offers))])
    chosen = [f"{group}={name}" for group in groups for name in source.list(group, ObjectType.CONFIG)]
    others = [
        f"{KINDS[kind]}:{name}" for kind, name in sorted(source.offers) if kind in ("blocks", "losses") and name not in own_names(kind)
    ]
    return [*chosen, *others]
