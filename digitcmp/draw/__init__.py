"""The architecture of a network as a table and as a picture, without torch."""
