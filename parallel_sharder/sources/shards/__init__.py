"""Shards as a source: WebDataset shards that exist, ours or of another tool, are shuffled, merged or split anew."""
