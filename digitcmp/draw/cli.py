"""``python -m digitcmp.draw model=NAME``: the architecture of a network as a table of its layers, and as a picture."""

from pathlib import Path

from hydra import compose, initialize_config_dir
from hydra.errors import HydraException
from omegaconf import OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from digitcmp.arguments import Arguments
from digitcmp.config.allowed import let_in
from digitcmp.config.composed import unchecked
from digitcmp.config.known import check_one_choice
from digitcmp.config.meant import of_one
from digitcmp.config.messages import one_line
from digitcmp.config.schema import ModelConfig
from digitcmp.config.values import check_value, walk
from digitcmp.errors import ConfigError, DigitcmpError
from digitcmp.files import shipped, write_whole
from digitcmp.plugins import resolvers
from digitcmp.plugins.named import borrowed_name, print_borrowed
from digitcmp.report.command import exit_codes
from digitcmp.terminal import Terminal, say

DESCRIPTION = """\
Show a network: a table of its layers with what comes out of each and how many parameters it learns, on the screen and as NAME.md, and a
picture, NAME.pdf, NAME.png and NAME.svg. Nothing is trained, and torch is not needed.
"""
EXAMPLES = """\
examples:
  python -m digitcmp.draw model=net4
  python -m digitcmp.draw +experiment=best --out drawn
  python -m digitcmp.draw model=wsn model.batchnorm=true model.weight_sharing=false
  python -m digitcmp.draw --config-dir my model=mine
"""


def parser() -> Arguments:
    """The command line's arguments."""
    arguments = Arguments("python -m digitcmp.draw", description=DESCRIPTION, epilog=EXAMPLES)
    arguments.add_argument("overrides", nargs="+", metavar="KEY=VALUE", help="the network, as digitcmp itself takes it")
    arguments.add_argument("--config-dir", type=Path, metavar="FOLDER", help="a folder with YAML files of your own")
    arguments.add_argument("--allow-code", action="append", default=[], metavar="FILE", help="code of your own beside them")
    arguments.add_argument(
        "--out", type=Path, default=Path("outputs/drawn"), metavar="FOLDER", help="where to write (default: outputs/drawn)"
    )
    return arguments


def network(overrides: list[str], folder: Path | None) -> tuple[ModelConfig, int, str]:
    """The network of these overrides, which needs no recipe that could train it, the size of its digits in pixels, and what `borrowed_name`
    says of it. Raises ConfigError for what there is not, and for a value outside its range."""
    own = [] if folder is None else [f"hydra.searchpath=[file://{folder.absolute()}]"]
    resolvers.register()
    try:
        with initialize_config_dir(str(shipped("conf"))):
            composed = compose("config", overrides=[*overrides, *own], return_hydra_config=True)
        check_one_choice(overrides)
        runtime = composed.hydra.runtime
        with open_dict(composed):
            del composed["hydra"]
        OmegaConf.resolve(composed)
        config = unchecked(composed)
        for path, value, metadata in [*walk(config.model, "model."), *walk(config.data, "data.")]:
            check_value(path, value, metadata)
    except (HydraException, OmegaConfBaseException, DigitcmpError, ValueError) as error:
        raise ConfigError(of_one(one_line(error, overrides), "python -m digitcmp.draw")) from error
    return config.model, config.data.size, borrowed_name(runtime, config.model.name)


@exit_codes("nothing was written")
def main() -> None:
    """Draw the network, and print its table. Exit codes: see `exit_codes`."""
    arguments = parser().parse_args()
    let_in(arguments.allow_code, arguments.config_dir)
    model, size, borrowed = network(arguments.overrides, arguments.config_dir)
    from digitcmp.draw.picture import draw
    from digitcmp.draw.table import as_markdown, layers, print_layers
    from digitcmp.report import rendering

    found, console = layers(model, size), Terminal()
    print_borrowed([borrowed], console)
    print_layers(model, found, console)
    figure = draw(model, found, size)
    files: dict[str, str | bytes] = {"md": as_markdown(model, size, found), **rendering.files(figure)}
    for kind, content in files.items():
        say(console, str(write_whole(arguments.out / f"{model.name}.{kind}", content)), "written  ")
