"""ImageNet as it is downloaded and unpacked: the one source that knows WordNet IDs, splits, devkits and archives."""
