"""ImageNet (ILSVRC2012) as a source: of the sources, only this package knows its names, devkits and archives."""
