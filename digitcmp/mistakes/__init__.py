"""What is wrong in the errors that are left: the test pairs that the kept networks of a run answer wrongly."""
