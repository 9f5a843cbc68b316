"""``python -m digitcmp.verify FOLDER``."""

from digitcmp.entry import command


def main() -> None:
    """Run the command line (`digitcmp.verify.cli`)."""
    command("digitcmp.verify.cli", "torch")


if __name__ == "__main__":
    main()
