"""Verify: whether finished sets are what their manifests and their source say.

It shares no code with what makes tars and JSON. Only the source's annotations are parsed, and images examined, by the
conversion's code.
"""
