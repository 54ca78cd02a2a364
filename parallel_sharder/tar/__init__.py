"""Tar: bytes from values, and a shard out of samples. It opens no file; the writer is handed the one it writes to."""
