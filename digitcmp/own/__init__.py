"""Files of the user's own that --allow-code lets in: `digitcmp.own.NAME` is the file NAME.py, in every process that needs it."""

from digitcmp.config.allowed import files

__path__ = [str(file.parent) for file in files()]
