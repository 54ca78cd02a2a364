"""The real readers, each on the same shards; `make test-readers` runs them, in an environment of their own."""
