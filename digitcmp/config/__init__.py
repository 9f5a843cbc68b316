"""The configuration of a run: schema, rules across keys, identity, errors in one line."""
