"""``python -m digitcmp.runs …``, and the console script `digitcmp-runs`."""

from digitcmp.entry import command


def main() -> None:
    """Run the command line (`digitcmp.runs.cli`)."""
    command("digitcmp.runs.cli", "what is on record")


if __name__ == "__main__":
    main()
