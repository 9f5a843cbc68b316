"""``python -m digitcmp.report FOLDER…``."""

from digitcmp.entry import command


def main() -> None:
    """Run the command line (`digitcmp.report.cli`)."""
    command("digitcmp.report.cli", "matplotlib")


if __name__ == "__main__":
    main()
