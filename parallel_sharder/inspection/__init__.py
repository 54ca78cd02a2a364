"""Inspection: what is in finished shards, shown to people: sets, samples, and one sample with all its members."""
