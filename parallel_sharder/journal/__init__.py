"""The journal: which files of a set are dealt and done, its records and their bytes, and what a run is known by."""
