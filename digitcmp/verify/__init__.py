"""Trains rounds that are on record again, drawn by chance, and says whether they come out as they are on record."""
