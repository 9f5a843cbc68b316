"""``python -m digitcmp.predict RUN_DIR PICTURE PICTURE…``."""

from digitcmp.entry import command


def main() -> None:
    """Run the command line (`digitcmp.predict.cli`)."""
    command("digitcmp.predict.cli", "torch")


if __name__ == "__main__":
    main()
