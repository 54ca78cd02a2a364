"""Benchmarks: one script a question; each prints a table for people and one JSON line. Run them with `make bench`."""
