"""digitcmp from Python: runs and sweeps as calls that return what they have come to."""
