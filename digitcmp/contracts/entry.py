"""What pytest loads wherever digitcmp is installed: it brings options to those runs alone that are over `digitcmp.contracts`."""

from typing import Any

PROMISES = ("network", "data", "augmentation")  # modules whose failing assertions show their values


def pytest_load_initial_conftests(early_config: Any, args: list[str]) -> None:
    """A hook of pytest's, called before it reads its options."""
    if any(argument.startswith("digitcmp.contracts") for argument in args):
        import pytest

        pytest.register_assert_rewrite(*(f"digitcmp.contracts.{name}" for name in PROMISES))
        early_config.pluginmanager.import_plugin("digitcmp.contracts.options")
