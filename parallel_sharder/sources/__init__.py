"""Source layouts: where a data set's parts lie on this disk.

One file a layout, each with a `find`; `find_layout` asks all of them. What they find is only places: the scan looks
into them.
"""

from __future__ import annotations

from pathlib import Path

from parallel_sharder.errors import SourceError
from parallel_sharder.sources import kaggle, tree
from parallel_sharder.sources.layout import Layout


def find_layout(root: str | Path, split: str, xml_root: str | Path | None, meta: str | Path | None) -> Layout:
    """The one layout that `root` has for `split`; `xml_root` and `meta` are places the user has named.

    Raises SourceError if there is none, listing what was looked for and where, if there are several, or if a part is
    missing.
    """
    # Absolute, because workers may run in another folder; not resolved, because messages show what the user has named.
    root = Path(root).absolute()
    xml_root = Path(xml_root).absolute() if xml_root is not None else None
    meta = Path(meta).absolute() if meta is not None else None
    if not root.is_dir():
        raise SourceError(f"{root} is not a folder; name the data set's with --root")
    places = {"classic tree": tree.places(root, split), "Kaggle tree": kaggle.places(root, split)}
    there = [(name, place) for name, folders in places.items() for place in folders if place.is_dir()]
    if not there:
        looked = "\n".join(f"  {name}: {place}/" for name, folders in places.items() for place in folders)
        raise SourceError(f"no {split} images found under {root}. Looked for:\n{looked}\n{_hint(root, split)}")
    if len(there) > 1:
        both = " and ".join(f"{place} ({name})" for name, place in there)
        raise SourceError(f"{root} holds the {split} images twice: {both}. Name the one to use with --root.")
    [(name, images)] = there
    find = tree.find if name == "classic tree" else kaggle.find
    return find(images, split, xml_root, meta)


def _hint(root: Path, split: str) -> str:
    if root.name == split or any(root.glob("n[0-9]*")):
        return f"{root} looks like the {split} folder itself: name the folder above it with --root."
    return "Name the folder that holds one of them with --root."
