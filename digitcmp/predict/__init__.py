"""Kept networks and pictures of anybody's digits: from a picture to an image as in the training data, and what networks say of pairs."""
