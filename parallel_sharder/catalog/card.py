"""The dataset card: README.md of a folder of finished sets, for people and for the Hugging Face hub.

It is a function of the sets' manifests and of which class tables exist. Its front matter names the shards of each split
and the type of each field; without these, the library `datasets` looks only at the first samples of a set, and also at
files that are no shards. Source of the front matter: https://github.com/huggingface/hub-docs, datasetcard.md; how
`datasets` reads it was tried with 5.2.
"""

from __future__ import annotations

import glob
import json
import os
import re
import shlex
from collections.abc import Sequence
from itertools import chain, count
from typing import Any, NamedTuple

from parallel_sharder.catalog.beside import Beside, FinishedSet
from parallel_sharder.catalog.hub_types import features_of, has_known_types
from parallel_sharder.catalog.loading import IMAGENET_FIELDS, IMAGES, Fields, reading
from parallel_sharder.catalog.manifest import Manifest
from parallel_sharder.catalog.sets import sets_in
from parallel_sharder.catalog.yamltext import to_yaml
from parallel_sharder.destination import readable_text
from parallel_sharder.errors import DestinationError, unwritable
from parallel_sharder.pattern import braces, shard_name
from parallel_sharder.samples.forms import FORMS
from parallel_sharder.setfiles import CARD, SetFiles
from parallel_sharder.stores import store_of
from parallel_sharder.text import code, size

MARK = "<!-- Written by parallel_sharder, whose --card writes it anew as long as this line is here. -->"

HUB_SPLITS = {"train": "train", "val": "validation", "test": "test"}
_CATEGORIES = ((10**3, "n<1K"), (10**4, "1K<n<10K"), (10**5, "10K<n<100K"), (10**6, "100K<n<1M"), (10**7, "1M<n<10M"))

_LABELS = {
    "devkit": "`cls` counts from 1 to 1000, by the ILSVRC2012_ID of the devkit",
    "sorted": "`cls` counts from 0 to 999, by the WordNet ID in sorted order, as torchvision and timm count",
    "": "`cls` is the label of the class, as the manifest lists the classes",
    "own": "`cls` is the label that each sample has in the source, and the manifest lists no classes",
}


_IMAGENET = "ImageNet (ILSVRC2012)"
_IMAGENET_LICENCE = {
    "license": "other",
    "license_name": "imagenet-terms-of-access",
    "license_link": "https://www.image-net.org/download.php",
}

_MEANINGS = {"cls": "the label, in ASCII digits", "txt": "a text, such as a caption"}


class CardedSet(NamedTuple):
    """What a card says of a set, from its manifest; `table` is the name of its class table, None if there is none."""

    name: str
    split: str | None
    samples: int
    file_bytes: int
    urls: tuple[str, ...]
    labels: str
    annotations: str
    has_classes: bool
    table: str | None
    tool: str
    pattern: str
    is_of_imagenet: bool
    fields: Fields
    image_field: str = ""

    @classmethod
    def of(cls, manifest: Manifest, folder: str) -> CardedSet:
        """Return what a card says of the set in `folder` with this manifest."""
        table = SetFiles(folder, manifest.name).classes
        return cls(
            manifest.name,
            manifest.options.split,
            manifest.totals.samples,
            manifest.totals.file_bytes,
            tuple(shard.name for shard in manifest.shards),
            manifest.options.labels or ("" if manifest.classes else "own"),
            manifest.options.its_form,
            bool(manifest.classes) or ("cls", True) in manifest.fields,
            os.path.basename(table) if store_of(table).exists(table) else None,
            manifest.tool,
            _glob(manifest.shards[-1].name),
            manifest.options.is_of_imagenet,
            manifest.fields or _imagenet_fields(bool(manifest.classes)),
            manifest.selection.get("image_field") or "",
        )

    @property
    def suffix(self) -> str:
        """The ending of its shards' names."""
        parts = shard_name(self.urls[0])
        return parts.suffix if parts else ".tar"

    @property
    def hub_split(self) -> str:
        """The name that its split has for `datasets`, which takes a set without splits for train."""
        return HUB_SPLITS[self.split or "train"]

    @property
    def form(self) -> tuple[bool, str, Fields]:
        """All that must agree in sets that share a configuration: the fields only if the type of one is not known."""
        is_known = has_known_types(name for name, _ in self.fields)
        return self.has_classes, self.annotations, () if is_known else tuple(self.fields)


def _names(sets: Sequence[CardedSet]) -> list[str]:
    """Return the names of all fields of these sets."""
    return list(dict.fromkeys(name for each in sets for name, _ in each.fields))


def _imagenet_fields(has_classes: bool) -> Fields:
    return tuple(field for field in IMAGENET_FIELDS if has_classes or field[0] != "cls")


def _glob(name: str) -> str:
    """Return a pattern for `glob` that matches only the shards of the set to which the shard `name` belongs."""
    parts = shard_name(name)
    if parts is None:
        return glob.escape(name)
    return glob.escape(parts.prefix) + "[0-9]" * len(parts.number) + glob.escape(parts.suffix)


def card(sets: Sequence[CardedSet]) -> bytes:
    """Return the card of a folder with these sets."""
    sets = sorted(sets, key=lambda each: ([*HUB_SPLITS.values()].index(each.hub_split), each.name))
    parts = [_front_matter(sets), f"# {_title(sets)}", MARK, _splits(sets), _samples(sets)]
    if any(each.has_classes for each in sets):
        parts.append(_labels(sets))
    return ("\n\n".join([*parts, _loading(sets[0]), _origin(sets)]) + "\n").encode("utf-8")


def _title(sets: Sequence[CardedSet]) -> str:
    """Return the title of a folder of these sets."""
    names = dict.fromkeys(map(_name_of_all, sets))
    return f"{' and '.join(names)} in WebDataset shards"


def _name_of_all(each: CardedSet) -> str:
    """Return the name of the data set that the set is a split of."""
    if each.is_of_imagenet:
        return _IMAGENET
    return re.sub(rf"[-_.]{each.split}(?=[-_.]|$)", "", each.name) if each.split else each.name


def _front_matter(sets: Sequence[CardedSet]) -> str:
    total = sum(each.samples for each in sets)
    tasks = ["image-classification"] if any(each.has_classes for each in sets) else []
    if any(("txt", True) in each.fields for each in sets):
        tasks.append("image-to-text")
    if any(FORMS[each.annotations].has_boxes for each in sets):
        tasks.append("object-detection")
    content: dict[str, Any] = {
        "pretty_name": _title(sets),
        **(_IMAGENET_LICENCE if all(each.is_of_imagenet for each in sets) else {"license": "unknown"}),
        **({"task_categories": tasks} if tasks else {}),
        "size_categories": [next((name for limit, name in _CATEGORIES if total < limit), "10M<n<100M")],
        "tags": ["webdataset", *(["imagenet"] if any(each.is_of_imagenet for each in sets) else [])],
    }
    if configurations := _configurations(sets):
        names = _config_names(configurations)
        content["configs"] = [
            {
                "config_name": name,
                "data_files": [{"split": each.hub_split, "path": each.pattern} for each in some],
            }
            for name, some in zip(names, configurations, strict=True)
        ]
        infos = [
            {"config_name": name, "features": features}
            for name, some in zip(names, configurations, strict=True)
            if (features := features_of(_names(some), FORMS[some[0].annotations].hub_type(some[0].has_classes)))
        ]
        content |= {"dataset_info": infos} if infos else {}
    return f"---\n{to_yaml(content)}---"


def _config_names(configurations: Sequence[Sequence[CardedSet]]) -> list[str]:
    """Return the configurations' names: the first is "default", the others are named after their sets.

    They consist of characters that `datasets` accepts.
    """
    names = ["default"]
    for some in configurations[1:]:
        name = re.sub(r"[^\w.-]", "_", "-".join(each.name for each in some))
        further = (f"{name}-{number}" for number in count(2))
        names.append(next(each for each in chain([name], further) if each not in names))
    return names


def _configurations(sets: Sequence[CardedSet]) -> list[list[CardedSet]]:
    """Return the sets that `datasets` can read, in groups of one data set and one form each, and no split twice."""
    groups: list[list[CardedSet]] = []
    for each in sets:
        if each.suffix == ".tar.zst":
            continue
        for some in groups:
            is_alike = (_name_of_all(some[0]), some[0].form) == (_name_of_all(each), each.form)
            if is_alike and each.split not in [other.split for other in some]:
                some.append(each)
                break
        else:
            groups.append([each])
    return groups


def _splits(sets: Sequence[CardedSet]) -> str:
    rows = [
        f"| {each.split or '-'} | {each.samples:,} | {len(each.urls):,} | {size(each.file_bytes)} | "
        f"{code(braces(each.urls))} | {code(f'{each.name}.json')} |"
        for each in sets
    ]
    return "\n".join(
        ["| split | samples | shards | size | shards' names | manifest |", "|---|---|---|---|---|---|", *rows]
    )


def _samples(sets: Sequence[CardedSet]) -> str:
    lines = ["## Samples", "", "Each sample is a few files of one name, side by side in a shard:", ""]
    lines += ["| file | holds |", "|---|---|"]
    for name in _names(sets):
        if name == "json":
            continue
        is_partly = any((name, False) in each.fields for each in sets)
        lines.append(f"| {code(name)} | {_meaning(name, sets)}{'; not all samples have it' if is_partly else ''} |")
    with_json = [each for each in sets if "json" in dict(each.fields)]
    for form in dict.fromkeys(each.annotations for each in with_json):
        splits = ", ".join(each.split or each.name for each in sets if each.annotations == form)
        of = f" ({splits})" if len({each.annotations for each in sets}) > 1 else ""
        lines.append(f"| `json` | {FORMS[form].meaning}{of} |")
    for form in dict.fromkeys(each.annotations for each in sets):
        if fields := FORMS[form].json_fields:
            lines += ["", "The fields of `json`:", "", "| field | type | means |", "|---|---|---|"]
            lines += [f"| `{field.name}` | {field.type_name} | {field.meaning} |" for field in fields]
    return "\n".join(lines)


def _meaning(name: str, sets: Sequence[CardedSet]) -> str:
    """Return what the file of a field holds."""
    if name == "jpg" and any(each.is_of_imagenet for each in sets):
        return "the image's file, untouched: JPEG nearly always, whatever its mode"
    if name in IMAGES:
        return "the image's file, untouched"
    return _MEANINGS.get(name, "a file of the source, untouched")


def _labels(sets: Sequence[CardedSet]) -> str:
    lines = ["## Labels", ""]
    labelled = [each for each in sets if each.has_classes]
    for order in dict.fromkeys(each.labels for each in labelled):
        some = [each for each in labelled if each.labels == order]
        of = (
            f" in {', '.join(each.split or each.name for each in some)}"
            if len({each.labels for each in labelled}) > 1
            else ""
        )
        lines.append(f"{_LABELS[order]}{of}.")
        if tables := " and ".join(code(each.table) for each in some if each.table):
            id_and_name = "WordNet ID and words" if order else "ID and name"
            lines.append(f"Label, {id_and_name} of all classes are in {tables}.")
    if any(each.labels != "own" for each in labelled):
        lines.append("All of that, and how many samples each class has, is in the manifest.")
    return "\n".join(lines)


def _loading(first: CardedSet) -> str:
    steps, variables = reading(first.fields, first.image_field)
    names = braces(first.urls)
    url = f"pipe:zstd -dc {shlex.quote(names)}" if first.suffix == ".tar.zst" else names
    blocks = [
        f"import webdataset as wds\n\ndataset = wds.WebDataset({_python(url)}, shardshuffle=False)\n"
        f"{variables} = next(iter(dataset{steps}))"
    ]
    can_differ = not all(is_in_all for _, is_in_all in first.fields) and not has_known_types(_names([first]))
    if first.suffix != ".tar.zst" and not can_differ:  # `datasets` stops at fields that differ, unless it has types
        blocks.append(
            "import os\n\nfrom datasets import load_dataset\n\n"
            f'dataset = load_dataset(os.getcwd(), split="{first.hub_split}", streaming=True)\n'
            "sample = next(iter(dataset))"
        )
    if first.suffix == ".tar":
        blocks.append(
            f"import wids\n\ndataset = wids.ShardListDataset({_python(f'{first.name}.json')}, "
            'cache_dir=".")\nsample = dataset[0]'
        )
    text = "## Load them\n\nIn the folder of the shards"
    if version := FORMS[first.annotations].datasets_version:
        text += f" (`datasets` from {version} on)"
    return "\n\n".join([text + ":", *(f"```python\n{block}\n```" for block in blocks)])


def _python(text: str) -> str:
    """Return the text as a Python literal, in double quotes where JSON's literal is the same."""
    return json.dumps(text) if text.isascii() else ascii(text)


def _origin(sets: Sequence[CardedSet]) -> str:
    tools = " and ".join(dict.fromkeys(each.tool for each in sets))
    is_imagenet = any(each.is_of_imagenet for each in sets)
    source = " from ImageNet ILSVRC2012" if is_imagenet else ""
    terms = " ImageNet comes under its own terms of\naccess." if is_imagenet else ""
    return (
        f"## Origin\n\nMade by {tools}{source}; the manifests have its options, the digest of each\n"
        f"shard, and the counts. `parallel-sharder verify .` checks all of it.{terms}"
    )


class Card(Beside):
    """The card of the folder that the set of these files is in: of this set and of the others there."""

    is_shared = True

    def __init__(self, files: SetFiles) -> None:
        self._files = files

    def refuse(self) -> None:
        """Raise DestinationError if the folder has a README.md that is not of this tool's making."""
        text = readable_text(self._files.card)
        if text is not None and MARK not in text:
            raise DestinationError(
                f"{self._files.card} is there, and this tool has not made it. Nothing is overwritten: move it out of "
                "the way, or leave out --card."
            )

    def withdraw(self) -> bool:
        """Leave the set out of the folder's card; return whether the set was in one of this tool's."""
        text = readable_text(self._files.card) or ""
        if MARK not in text or code(f"{self._files.name}.json") not in text:
            return False
        try:
            self._write([])
        except DestinationError as error:
            raise DestinationError(f"{error} Mend that, and type the same command again.") from error
        return True

    def write(self, finished: FinishedSet) -> None:
        """Write the card: of the set, and of the others in the folder."""
        self._write([finished.manifest])

    def remove_partials(self) -> None:
        """Remove what is left of a card that was being written."""
        store_of(self._files.folder).remove_partials(self._files.folder, re.escape(CARD))

    def _write(self, own: Sequence[Manifest]) -> None:
        """Write the card of the sets with these manifests, the set's `own` or none, and of the other sets there.

        If there is no set, the card is removed.
        """
        found = sets_in(self._files.folder)
        others = [each.manifest for each in found if each.name != self._files.name and each.manifest is not None]
        sets = [CardedSet.of(manifest, self._files.folder) for manifest in (*own, *others)]
        try:
            self.remove_partials()
            if sets:
                store_of(self._files.card).put(self._files.card, card(sets), _is_card)
            elif _is_card(self._files.card):
                store_of(self._files.card).remove(self._files.card)
        except OSError as error:
            raise unwritable(self._files.card, error) from error


def _is_card(path: str) -> bool:
    """Return whether this tool has made the card at `path`."""
    return not os.path.islink(path) and MARK in (readable_text(path) or "")
