"""``python -m digitcmp``."""

from digitcmp.cli import main

if __name__ == "__main__":
    main()
