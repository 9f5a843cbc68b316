"""``python -m digitcmp``, and the console script `digitcmp`."""

from digitcmp.entry import command


def main() -> None:
    """Run the command line (`digitcmp.cli`)."""
    command("digitcmp.cli", "torch")


if __name__ == "__main__":
    main()
