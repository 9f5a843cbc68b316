"""Runnable measurements, each with a plain reference to compare with. Not tests: nothing here asserts a time."""
