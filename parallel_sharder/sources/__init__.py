"""Sources: where the samples of a set come from. Each answers to the interface in `source`."""
