"""Runs: what is trained, by which executor, and what is on disk."""
