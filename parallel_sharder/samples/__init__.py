"""Samples: what is in one, in which form, how large it is, and what its image and annotation hold."""
