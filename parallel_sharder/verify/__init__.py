"""Verify: whether finished sets are what their manifests and their source say. It shares no code with the writer."""
