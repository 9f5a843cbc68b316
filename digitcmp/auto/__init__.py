"""rounds=auto: as many rounds as it takes to tell the configurations of a sweep apart. See `digitcmp.auto.sequential` for the method."""
