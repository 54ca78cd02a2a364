"""The demo: a small made ImageNet, converted and read back (`python -m parallel_sharder.demo FOLDER`, or `make demo`).

It draws images and writes annotations that fit them (nothing is downloaded), runs the real command line on them, reads
the shards with the webdataset library, and makes a page of the training set. It needs the extra `demo`.
"""

from __future__ import annotations

import io
import random
import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from parallel_sharder.cli.main import main as command_line
from parallel_sharder.sources.imagenet.classes import ilsvrc_ids
from parallel_sharder.text import counted

CLASSES = {
    "n01440764": "tench, Tinca tinca",
    "n01614925": "bald eagle, American eagle, Haliaeetus leucocephalus",
    "n02085620": "Chihuahua",
    "n02123045": "tabby, tabby cat",
    "n02129165": "lion, king of beasts, Panthera leo",
    "n02504458": "African elephant, Loxodonta africana",
    "n03063599": "coffee mug",
    "n04146614": "school bus",
    "n07747607": "orange",
    "n07753592": "banana",
}
TRAIN_IMAGES_PER_CLASS = 20
VAL_IMAGES = 50

Box = tuple[int, int, int, int]


def main(arguments: Sequence[str]) -> int:
    """Make the data set, convert it and read it back; return the exit status."""
    if len(arguments) != 1:
        print("usage: python -m parallel_sharder.demo FOLDER", file=sys.stderr)
        return 2
    folder = Path(arguments[0])
    marker = folder / ".made-by-parallel-sharder-demo"
    if folder.exists() and not marker.exists():
        print(f"{folder} already exists, and no earlier demo has made it; name another folder", file=sys.stderr)
        return 1
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    marker.touch()

    print(f"Making a small data set of {len(CLASSES)} classes in {folder}/raw")
    make_data_set(folder / "raw")
    for split, maxsize in (("train", "2MB"), ("val", "1e9")):
        words = ["--root", f"{folder}/raw", "--split", split, "--dest", f"{folder}/shards", "--maxsize", maxsize]
        print(f"\n$ parallel-sharder {shlex.join(words)}")
        status = command_line(words)
        if status:
            return status
        read_back(sorted(map(str, (folder / "shards").glob(f"imagenet_{split}-*.tar"))))
    words = ["report", f"{folder}/shards/imagenet_train.json"]
    print(f"\n$ parallel-sharder {shlex.join(words)}")
    status = command_line(words)
    if not status:
        print(f"\nOpen the page in a browser: {(folder / 'shards' / 'imagenet_train.report.html').absolute().as_uri()}")
    return status


def make_data_set(root: Path) -> None:
    """Write `train/`, a flat `val/` and the devkit, in the official layout, under `root`."""
    draw = random.Random(0)
    data = root / "ILSVRC2012_devkit_t12" / "data"
    data.mkdir(parents=True)
    write_meta(data / "meta.mat", {wnid: CLASSES.get(wnid, wnid) for wnid in ilsvrc_ids()})
    wnids = list(CLASSES)
    for wnid in wnids:
        (root / "train" / wnid).mkdir(parents=True)
        for number in draw.sample(range(1, 20_000), TRAIN_IMAGES_PER_CLASS):
            key = f"{wnid}_{number}"
            image, size, boxes = draw_image(draw, wnids.index(wnid))
            (root / "train" / wnid / f"{key}.JPEG").write_bytes(image)
            if draw.random() < 0.425:  # as many as in the real set
                xml = annotation_xml(wnid, key, size, boxes)
                (root / "train" / wnid / f"{key}.xml").write_text(xml)
    (root / "val").mkdir()
    labels = [draw.randint(1, 1000) for _ in range(50_000)]
    for number in range(1, VAL_IMAGES + 1):
        wnid = draw.choice(wnids)
        labels[number - 1] = ilsvrc_ids()[wnid]
        image, _, _ = draw_image(draw, wnids.index(wnid))
        (root / "val" / f"ILSVRC2012_val_{number:08}.JPEG").write_bytes(image)
    (data / "ILSVRC2012_validation_ground_truth.txt").write_text("".join(f"{label}\n" for label in labels))


def draw_image(draw: random.Random, hue: int) -> tuple[bytes, tuple[int, int], list[Box]]:
    """Return a JPEG of a few ellipses in the class's colour, its (width, height), and the ellipses' boxes."""
    from PIL import Image, ImageDraw

    size = draw.randint(200, 500), draw.randint(200, 500)
    image = Image.effect_noise(size, 40).convert("RGB")
    boxes = []
    for _ in range(draw.choice((1, 1, 1, 2, 3))):
        left, top = draw.randint(0, size[0] - 100), draw.randint(0, size[1] - 100)
        box = left, top, draw.randint(left + 50, size[0]), draw.randint(top + 50, size[1])
        ImageDraw.Draw(image).ellipse(box, fill=f"hsl({hue * 36}, 80%, 50%)")
        boxes.append(box)
    data = io.BytesIO()
    image.save(data, "JPEG", quality=85)
    return data.getvalue(), size, boxes


def annotation_xml(wnid: str, key: str, size: tuple[int, int], boxes: Sequence[Box]) -> str:
    """Return an annotation in the official archives' form: tabs, one element a line, no newline at the end."""
    objects = "".join(
        f"\t<object>\n\t\t<name>{wnid}</name>\n\t\t<pose>Unspecified</pose>\n\t\t<truncated>0</truncated>\n"
        f"\t\t<difficult>0</difficult>\n\t\t<bndbox>\n\t\t\t<xmin>{left}</xmin>\n\t\t\t<ymin>{top}</ymin>\n"
        f"\t\t\t<xmax>{right}</xmax>\n\t\t\t<ymax>{bottom}</ymax>\n\t\t</bndbox>\n\t</object>\n"
        for left, top, right, bottom in boxes
    )
    return (
        f"<annotation>\n\t<folder>{wnid}</folder>\n\t<filename>{key}</filename>\n\t<source>\n"
        f"\t\t<database>ILSVRC_2012</database>\n\t</source>\n\t<size>\n\t\t<width>{size[0]}</width>\n"
        f"\t\t<height>{size[1]}</height>\n\t\t<depth>3</depth>\n\t</size>\n\t<segmented>0</segmented>\n"
        f"{objects}</annotation>"
    )


def write_meta(path: Path, names: Mapping[str, str]) -> None:
    """Write a meta.mat in the devkit's form: the classes of `names` in order, with IDs from 1, then the root node."""
    import numpy as np
    import scipy.io

    fields = ("ILSVRC2012_ID", "WNID", "words", "num_children", "num_train_images")
    rows: list[tuple[Any, ...]] = [
        (number, wnid, name, 0, 1300) for number, (wnid, name) in enumerate(names.items(), 1)
    ]
    rows.append((len(rows) + 1, "n00001740", "entity", len(names), 0))
    synsets = np.array(rows, dtype=[(field, object) for field in fields]).reshape(-1, 1)
    scipy.io.savemat(path, {"synsets": synsets}, do_compression=True)


def read_back(shards: Sequence[str]) -> None:
    """Read every sample with the webdataset library, decode its image, and print the first three."""
    import webdataset

    samples = list(webdataset.WebDataset(list(shards), shardshuffle=False).decode("pil"))
    read = f"{counted(len(samples), 'sample')} from {counted(len(shards), 'shard')}"
    print(f"\nwebdataset {webdataset.__version__} reads {read}; the first:")
    for sample in samples[:3]:
        annotated = "annotation" in sample["json"]
        print(
            f"  {sample['__key__']:<24} jpg {sample['jpg'].width}x{sample['jpg'].height}  cls {sample['cls']:<4} "
            f"{sample['json']['cname']}{', annotated' if annotated else ''}"
        )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
