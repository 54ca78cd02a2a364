"""The layouts: `find_layout` finds the one layout in which ImageNet's parts lie under a root folder.

Each layout has a module with `places` and `find`. A root folder goes in, and a Layout comes out, which holds only
places. The scan looks into them. A root with none or with several layouts is a SourceError that names a remedy.
"""

from __future__ import annotations

from pathlib import Path

from parallel_sharder.errors import SourceError
from parallel_sharder.options import IMAGENET_LAYOUTS
from parallel_sharder.sources.downloads import refuse_doubtful
from parallel_sharder.sources.imagenet.image_places import existing_places, place_itself
from parallel_sharder.sources.imagenet.layout import Layout
from parallel_sharder.sources.imagenet.not_found import nothing_found, refuse_unlike
from parallel_sharder.sources.imagenet.published import MD5


def find_layout(
    root: str | Path, split: str, xml_root: str | Path | None, meta: str | Path | None, layout: str | None = None
) -> Layout:
    """Return the one layout that `root` has for `split`. The user has named the places `xml_root` and `meta`, if given.

    `layout`, one of options.IMAGENET_LAYOUTS, chooses one of several. `root` may also be the folder of the images
    itself. Raises SourceError if `root` has no layout (the message lists where it was looked for and what `root`
    holds), if it has several, or if a part is missing.
    """
    # Paths are absolute, because workers may run in another folder. Links are kept, because users know these names.
    root = Path(root).absolute()
    xml_root = Path(xml_root).absolute() if xml_root is not None else None
    meta = Path(meta).absolute() if meta is not None else None
    if not root.is_dir():
        near = f"--root {root.parent}" if root.is_file() else "--root"
        raise SourceError(f"{root} is not a folder; name the data set's with {near}.")
    wanted = IMAGENET_LAYOUTS if layout is None else (layout,)
    there = existing_places(root, split, wanted) or place_itself(root, split, wanted)
    if not there:
        raise SourceError(*nothing_found(root, split, wanted))
    if len(there) > 1:
        all_of_them = " and ".join(f"{place.path} (--layout {place.word})" for place in there)
        raise SourceError(f"{root} holds the {split} images more than once: {all_of_them}. Choose one with --layout.")
    [place] = there
    if place.is_folder:
        refuse_unlike(place.path, split)
    found = place.find(split, xml_root, meta)
    refuse_doubtful(found.downloads, MD5)
    return found
