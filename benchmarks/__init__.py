"""Benchmarks: each script here answers one question, and prints a table for people and one line of JSON.

`make bench` runs all of them. `tools` has what they are made with. The figures are in README.md.
"""
