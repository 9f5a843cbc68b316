"""``python -m digitcmp.mistakes RUN_DIR``."""

from digitcmp.entry import command


def main() -> None:
    """Run the command line (`digitcmp.mistakes.cli`)."""
    command("digitcmp.mistakes.cli", "torch")


if __name__ == "__main__":
    main()
