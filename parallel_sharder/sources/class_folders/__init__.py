"""Class folders, of any images: ROOT/[SPLIT/]CLASS/.../IMAGE; they are found, listed, labelled and joined."""
