"""Benchmarks, run by `make bench`: measured side by side, figures kept in `bench/results`."""
