"""Callbacks from outside: trackers that runs are shown in (one small file each), and classes of the user's own."""
