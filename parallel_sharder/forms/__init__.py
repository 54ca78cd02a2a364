"""The forms of a sample's JSON."""
