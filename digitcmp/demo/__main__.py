"""``python -m digitcmp.demo RUN_DIR…``."""

from digitcmp.entry import command


def main() -> None:
    """Run the command line (`digitcmp.demo.cli`)."""
    command("digitcmp.demo.cli", "torch")


if __name__ == "__main__":
    main()
