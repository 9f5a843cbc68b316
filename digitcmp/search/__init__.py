"""Searches: what Optuna needs beyond the official Hydra sweeper. Importing it imports neither Optuna nor torch."""
