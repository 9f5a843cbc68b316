"""``python -m digitcmp.schema``: a JSON schema of the YAML files."""

from digitcmp.entry import command


def main() -> None:
    """Run the command line (`digitcmp.schema.cli`)."""
    command("digitcmp.schema.cli", "the keys")


if __name__ == "__main__":
    main()
