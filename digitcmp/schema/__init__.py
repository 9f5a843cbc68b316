"""JSON schemas of the YAML files, for editors and other programs, worked out from `digitcmp.config.schema`."""
