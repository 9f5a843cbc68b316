"""What every network, data set and augmentation promises, as tests that anybody can run over their own (pytest is needed for that alone):

    pytest --pyargs digitcmp.contracts --model NAME --data NAME --augment NAME

`--config-dir FOLDER`, `--allow-code FILE` and `--with KEY=VALUE` are what they are for `python -m digitcmp`. digitcmp's own tests
go over its own networks, data sets and augmentations with the same functions.
"""
