"""``python -m digitcmp.new KIND NAME``."""

from digitcmp.entry import command


def main() -> None:
    """Run the command line (`digitcmp.new.cli`)."""
    command("digitcmp.new.cli", "its templates")


if __name__ == "__main__":
    main()
