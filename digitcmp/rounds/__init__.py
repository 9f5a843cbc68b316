"""Rounds: engines that execute them, records of them on disk, and what the user sees meanwhile."""
