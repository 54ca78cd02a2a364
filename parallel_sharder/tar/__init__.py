"""Tar: the bytes of headers from values, and shards from samples. It opens no file; the caller hands the writer one."""
