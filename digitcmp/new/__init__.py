"""Commented files to start from: `python -m digitcmp.new model NAME`."""
