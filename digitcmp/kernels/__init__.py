"""Kernels for a GPU that trains many small networks at once: what libraries have for one large network takes several times as long."""
