"""The catalog: the sets in a folder, and the files beside their shards for people and tools."""
