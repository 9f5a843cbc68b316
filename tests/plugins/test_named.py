"""A network of one's own that has the name of the one from which it starts: a line says so."""

from collections.abc import Callable
from pathlib import Path

from digitcmp.draw import cli as draw
from tests.conftest import Ended

SMALL = ("epochs=1", "data.train_pairs=60", "data.test_pairs=60", "batch_size=20", "dry_run=true")


def test_a_network_that_has_the_name_of_another(run_cli: Callable[..., Ended], run_main: Callable[..., Ended], tmp_path: Path) -> None:
    """Said once, by a run, a sweep and a drawing; not of one with a name of its own, nor of ours."""
    folder = tmp_path / "my" / "model"
    folder.mkdir(parents=True)
    start = "defaults: [net2, _self_]\nweight_sharing: true\n"
    (folder / "third.yaml").write_text(start)
    (folder / "fourth.yaml").write_text(f"{start}name: fourth\n")
    (folder / "fifth.yaml").write_text(f"{start}name: five\n")
    told = "model=third: its name is net2, as that of another network; name: third in its file would tell them apart in tables"
    mine = ("--config-dir", "my")
    for ended in (
        run_cli(*mine, "model=third", *SMALL),
        run_cli(*mine, "--multirun", "model=third,net2,fourth,fifth", "seed=1,2", *SMALL),
        run_main(draw.main, *mine, "model=third"),
    ):
        assert ended.code == 0, ended.err
        shown = " ".join(ended.out.split())
        assert shown.count(told) == shown.count("its name is") == 1
    for model in ("fourth", "fifth", "net4"):
        assert "its name is" not in run_cli(*mine, f"model={model}", *SMALL).out
