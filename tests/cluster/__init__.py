"""Tests of more than one host: `make test-cluster` runs them."""
