"""The readers again, for sets of any fields: each function yields the samples as one library gives them.

`python -m tests.readers.field_programs FILE FUNCTION ARGUMENT...` writes what the function yields to FILE, pickled. A
Sample is a key and the bytes of each field; `name` is what the names of a set's shards begin with.
"""

from __future__ import annotations

import io
import itertools
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.readers.programs import Decoded, dali_members, energon_members, shards_of, write_result

Fields = tuple[tuple[str, bytes], ...]  # sorted by name
Sample = tuple[str, Fields]


def sample_of(key: str, fields: Mapping[str, bytes]) -> Sample:
    return key, tuple(sorted(fields.items()))


def webdataset(name: str) -> Iterator[Sample]:
    """Webdataset itself, members as they are."""
    from webdataset import WebDataset

    for sample in WebDataset(shards_of(name), shardshuffle=False):
        yield sample_of(sample["__key__"], {field: data for field, data in sample.items() if field[0] != "_"})


def wids(name: str) -> Iterator[Sample]:
    """By number, through the index of wids."""
    from wids import ShardListDataset

    dataset = ShardListDataset(f"{name}.json", cache_dir=".", transformations=[])
    for number in range(len(dataset)):
        sample = dataset[number]
        fields = {field[1:]: data.read() for field, data in sample.items() if field[0] == "."}
        yield sample_of(sample["__key__"], fields)


def datasets(name: str, streaming: str, *fields: str) -> Iterator[Sample]:
    """Hugging Face's `datasets`, with a type for each field; what a sample has not is None there."""
    from datasets import Features, Image, Json, Value, load_dataset

    known = {"cls": Value("int64"), "json": Json(), "txt": Value("string")}
    features = {field: known.get(field, Image(decode=False)) for field in fields}
    dataset = load_dataset(
        "webdataset",
        data_files={"train": f"{name}-*.tar"},
        split="train",
        features=Features({"__key__": Value("string")} | features),
        streaming=streaming == "streaming",
    )
    yield from map(_encoded, dataset)


def datasets_by_card(split: str, streaming: str) -> Iterator[Sample]:
    """The same with the types that the folder's README.md has, and nothing else said."""
    from datasets import Image, load_dataset

    dataset = load_dataset(str(Path.cwd()), split=split, streaming=streaming == "streaming")
    for field, kind in dataset.features.items():
        if isinstance(kind, Image):
            dataset = dataset.cast_column(field, Image(decode=False))
    yield from map(_encoded, dataset)


def _encoded(sample: Mapping[str, Any]) -> Sample:
    """A sample of `datasets`, which parses some fields, as bytes; Python's own json gives back what was parsed.

    What is None the sample has not.
    """
    there = {field: value for field, value in sample.items() if value is not None and field[0] != "_"}
    return sample_of(sample["__key__"], {field: _bytes_of(field, value) for field, value in there.items()})


def _bytes_of(field: str, value: Any) -> bytes:
    if field == "txt":
        return str(value).encode()
    if field in ("cls", "json"):
        return json.dumps(value).encode()
    image: bytes = value["bytes"]
    return image


def dali(name: str, indexed: str, *components: str) -> Iterator[tuple[bytes, ...]]:
    """DALI on the CPU, with our index or with what it finds itself."""
    return dali_members(name, indexed, list(components))


def energon(split: str) -> Iterator[Sample]:
    """Energon by the dataset configuration undecoded.yaml, which the test has added: all fields of each sample."""
    return itertools.starmap(sample_of, energon_members(split))


def timm(split: str, image_fields: str) -> Iterator[Decoded]:
    """Timm's wds reader, told which fields are images; it wants `jpg` to be the first."""
    from timm.data import create_dataset

    options = {"is_training": False, "batch_size": 32, "input_key": image_fields}
    for image, label in create_dataset("wds/any", root=".", split=split, **options):
        yield image.size, image.tobytes(), label


def image_folder(root: str) -> Iterator[Decoded]:
    """Torchvision's ImageFolder, which decodes by Pillow."""
    from torchvision.datasets import ImageFolder

    for image, label in ImageFolder(root):
        yield image.size, image.tobytes(), label


def image_folder_classes(root: str) -> Iterator[str]:
    """The names of ImageFolder's classes, by label."""
    from torchvision.datasets import ImageFolder

    yield from ImageFolder(root).classes


def hugging_face_folder(root: str) -> Iterator[dict[str, Any]]:
    """The rows of Hugging Face's imagefolder, each image as the bytes of its file."""
    from datasets import Image, load_dataset

    dataset = load_dataset("imagefolder", data_dir=root, split="train")
    for row in dataset.cast_column("image", Image(decode=False)):
        image = row["image"]
        yield row | {"image": image["bytes"] or Path(image["path"]).read_bytes()}


def write_shards(name: str, form: str, samples: str, in_shard: str) -> Iterator[str]:
    """Webdataset's own ShardWriter: shards of samples whose fields differ, in a tar format of Python's."""
    import random

    from PIL import Image
    from webdataset import ShardWriter

    draw = random.Random(form)
    with ShardWriter(f"{name}-%06d.tar", maxcount=int(in_shard), verbose=0, format=form) as writer:
        for number in range(int(samples)):
            width, height, label = draw.randint(8, 40), draw.randint(8, 40), draw.randrange(5)
            image, mask = io.BytesIO(), io.BytesIO()
            pixels = draw.randbytes(width * height * 3)
            field, kind = (("jpg", "JPEG"), ("png", "PNG"))[number % 3 == 1]
            Image.frombytes("RGB", (width, height), pixels).save(image, kind)
            Image.frombytes("L", (width, height), pixels[: width * height]).save(mask, "PNG")
            about = {"cls": label, "width": width, "words": ["Tülpe", number], "nested": {"a": None}}
            fields = {field: image.getvalue(), "cls": label, "json": about, "seg.png": mask.getvalue()}
            if number % 4:  # a field that some samples do not have
                fields["txt"] = f"Bild {number}: eine Tülpe,\n„rot“"
            writer.write({"__key__": f"part{number % 7}/IMG_{number:04}"} | fields)
            yield f"{number}"


if __name__ == "__main__":
    write_result(globals(), *sys.argv[1:])
