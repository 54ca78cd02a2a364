"""ImageNet (ILSVRC2012) as a source: only this package knows WordNet IDs, splits, devkits and the official archives."""
