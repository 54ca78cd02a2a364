"""The layouts: in which ways ImageNet's parts lie on a disk, and which of them is there.

One file a layout, each with a `find`; `find_layout` asks all of them. What they find is only places: the scan looks
into them.
"""

from __future__ import annotations

from pathlib import Path

from parallel_sharder.errors import SourceError
from parallel_sharder.options import LAYOUTS
from parallel_sharder.sources.downloads import refuse_doubtful
from parallel_sharder.sources.imagenet.image_places import existing_places, place_itself
from parallel_sharder.sources.imagenet.layout import Layout
from parallel_sharder.sources.imagenet.nearby import nothing_found, refuse_unlike
from parallel_sharder.sources.imagenet.published import MD5


def find_layout(
    root: str | Path, split: str, xml_root: str | Path | None, meta: str | Path | None, layout: str | None = None
) -> Layout:
    """The one layout that `root` has for `split`; `xml_root` and `meta` are places the user has named.

    `layout`, one of options.LAYOUTS, says which it is where there are several. `root` may also be the folder of the
    images itself. Raises SourceError if there is none, listing what was looked for and what is there, if there are
    several, or if a part is missing.
    """
    # Absolute, because workers may run in another folder; not resolved, because messages show what the user has named.
    root = Path(root).absolute()
    xml_root = Path(xml_root).absolute() if xml_root is not None else None
    meta = Path(meta).absolute() if meta is not None else None
    if not root.is_dir():
        near = f"--root {root.parent}" if root.is_file() else "--root"
        raise SourceError(f"{root} is not a folder; name the data set's with {near}.")
    wanted = LAYOUTS if layout is None else (layout,)
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
