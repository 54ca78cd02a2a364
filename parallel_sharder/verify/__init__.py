"""Verify: whether finished sets are what their manifests and their source say.

It shares no code with what makes tars and JSON; only images are examined by the same code.
"""
