"""The journal: its entries, their bytes, its locked file, and the fingerprint by which it recognises a run."""
