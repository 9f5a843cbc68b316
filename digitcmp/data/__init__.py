"""Digits in, tensors of pairs out. Nothing here knows about configuration objects."""
