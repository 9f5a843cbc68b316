"""From what is on disk to tables and figures. Imports no torch."""
