"""Measurements: ``python -m benchmarks`` writes the tables of the README."""
