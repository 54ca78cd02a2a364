"""Staging: a source that gives its bytes only in its own order, or slowly in another, is copied to a fast disk."""
