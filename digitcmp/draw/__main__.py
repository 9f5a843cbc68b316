"""``python -m digitcmp.draw model=NAME``."""

from digitcmp.entry import command


def main() -> None:
    """Run the command line (`digitcmp.draw.cli`)."""
    command("digitcmp.draw.cli", "pandas")


if __name__ == "__main__":
    main()
