"""The catalog: the sets that are in a folder, and what lies beside their shards for people and tools."""
