"""``python -m digitcmp.report.ablation FOLDER…``."""

from digitcmp.entry import command


def main() -> None:
    """Run the command line (`digitcmp.report.ablation.cli`)."""
    command("digitcmp.report.ablation.cli", "matplotlib")


if __name__ == "__main__":
    main()
