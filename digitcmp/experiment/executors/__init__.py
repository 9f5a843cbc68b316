"""Executors: how rounds are executed. None changes what is computed, beyond floating-point rounding."""
