"""Runnable measurements, each with a reference to compare with. Not tests: nothing here asserts a time."""
