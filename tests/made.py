"""Made data sets: small, seeded, and shaped like ImageNet; no image needs to decode."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import random
import shutil
import tarfile
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import zstandard

from parallel_sharder.demo import annotation_xml as annotation_xml
from parallel_sharder.demo import write_meta as write_meta
from parallel_sharder.sources.imagenet.classes import ilsvrc_ids

WNIDS = sorted(ilsvrc_ids())
NAMES = {wnid: f"thing {wnid}, the '{number}th' of its kind" for wnid, number in ilsvrc_ids().items()}


_BEFORE_SCAN = b"".join(
    (
        b"\xff\xd8",
        b"\xff\xe0\0\2",
        b"\xff\xc0\0\x0b\x08\0\x3c\0\x5a\1\1\x11\0",  # 8 bits, 60 lines of 90 pixels, one component
        b"\xff\xda\0\x08\1\1\0\0\x3f\0",
    )
)
"""What a grey JPEG has before its data, but for tables: the start, a frame's header, a scan's (ITU-T T.81, annex B)."""


PACKED: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zst": zstandard.ZstdCompressor(write_checksum=True).compress,
}
"""What compresses a file, by the ending of its name."""


def image_bytes(draw: random.Random, size: int) -> bytes:
    """A JPEG of `size` bytes, 32 or more, that is sound in all but its image data, which are random."""
    data = draw.randbytes(size - len(_BEFORE_SCAN) - 2)
    return _BEFORE_SCAN + data.replace(b"\xff", b"\xfe") + b"\xff\xd9"


JPEG = image_bytes(random.Random(0), 40)
"""A small one."""


def write_devkit(root: Path, labels: Sequence[int] = ()) -> Path:
    """A devkit with all 1,000 classes, and a ground truth if there are labels; its data folder."""
    data = root / "ILSVRC2012_devkit_t12" / "data"
    data.mkdir(parents=True)
    write_meta(data / "meta.mat", NAMES)
    if labels:
        text = "".join(f"{label}\n" for label in labels)
        (data / "ILSVRC2012_validation_ground_truth.txt").write_text(text)
    return data


@dataclass
class Made:
    """A data set that is being made at `root`: `wnids` says the class of each key."""

    root: Path
    seed: int = 0
    sizes: tuple[int, int] = (200, 3000)
    wnids: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.draw = random.Random(self.seed)

    def image(self, folder: str, key: str, wnid: str = "") -> Path:
        """Add an image to a folder of the set."""
        path = self.root / folder / f"{key}.JPEG"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(image_bytes(self.draw, self.draw.randint(*self.sizes)))
        self.wnids[key] = wnid
        return path

    def xml(self, folder: str, key: str) -> Path:
        """Add an annotation of one to three objects to a folder of the set."""
        path = self.root / folder / f"{key}.xml"
        path.parent.mkdir(parents=True, exist_ok=True)
        draw = self.draw.randint
        objects = range(self.draw.choice((1, 1, 2, 3)))
        boxes = [(draw(0, 249), draw(0, 186), draw(250, 500), draw(187, 375)) for _ in objects]
        path.write_text(annotation_xml(key.split("_")[0], key, (500, 375), boxes))
        return path


def classic_train(root: Path, classes: int = 5, images: int = 60, annotated: float = 0.425) -> Made:
    """A classic training tree with its devkit; numbers are neither consecutive nor of one width."""
    made = Made(root)
    write_devkit(root)
    for wnid in WNIDS[:classes]:
        (root / "train" / wnid).mkdir(parents=True)
    numbers = made.draw.sample(range(1, 200_000), images)
    for position, number in enumerate(numbers):
        wnid = WNIDS[position % classes]
        made.image(f"train/{wnid}", f"{wnid}_{number}", wnid)
        if made.draw.random() < annotated:
            made.xml(f"train/{wnid}", f"{wnid}_{number}")
    return made


def val_key(number: int) -> str:
    """The key of a validation image."""
    return f"ILSVRC2012_val_{number:08}"


def flat_val(root: Path, images: int = 30) -> Made:
    """A flat validation folder, labelled by the devkit."""
    made = Made(root)
    labels = [made.draw.randint(1, 1000) for _ in range(50_000)]
    write_devkit(root, labels)
    wnid_of = {number: wnid for wnid, number in ilsvrc_ids().items()}
    for number in range(1, images + 1):
        made.image("val", val_key(number), wnid_of[labels[number - 1]])
    return made


def kaggle(root: Path, images: int = 40) -> Made:
    """Kaggle's tree: train, val and test, with annotations apart, and no devkit."""
    made = Made(root)
    root.mkdir(parents=True, exist_ok=True)
    (root / "LOC_synset_mapping.txt").write_text("".join(f"{wnid} {NAMES[wnid]}\n" for wnid in WNIDS))
    solution = ["ImageId,PredictionString\n"]
    for number in range(1, images + 1):
        wnid = WNIDS[number % 7]
        made.image(f"ILSVRC/Data/CLS-LOC/train/{wnid}", f"{wnid}_{number}", wnid)
        if number % 2:
            made.xml(f"ILSVRC/Annotations/CLS-LOC/train/{wnid}", f"{wnid}_{number}")
        made.image("ILSVRC/Data/CLS-LOC/val", val_key(number), wnid)
        made.xml("ILSVRC/Annotations/CLS-LOC/val", val_key(number))
        solution.append(f"{val_key(number)},{wnid} 1 2 30 40 {wnid} 5 6 70 80 \n")
        made.image("ILSVRC/Data/CLS-LOC/test", f"ILSVRC2012_test_{number:08}")
    (root / "LOC_val_solution.csv").write_text("".join(solution))
    return made


def official_archives(root: Path, raw: Path, *, nested_xml: bool = False) -> Path:
    """The official archives of a classic set at `raw`, in the folder `root`; nested_xml as in older copies."""
    root.mkdir()
    for split, name in (("train", "ILSVRC2012_img_train.tar"), ("val", "ILSVRC2012_img_val.tar")):
        if (raw / split).is_dir():
            with tarfile.open(root / name, "w", format=tarfile.GNU_FORMAT) as archive:
                for path in sorted((raw / split).iterdir()):
                    if path.is_dir():
                        add_bytes(archive, f"{path.name}.tar", tar_of(sorted(path.glob("*.JPEG"))))
                    elif path.suffix == ".JPEG":
                        archive.add(path, path.name)
    xmls = sorted((raw / "train").glob("*/*.xml"))
    with tarfile.open(root / "ILSVRC2012_bbox_train_v2.tar.gz", "w:gz") as archive:
        for folder in sorted({path.parent for path in xmls}):
            if nested_xml:
                inner = gzip.compress(tar_of(sorted(folder.glob("*.xml")), f"{folder.name}/"))
                add_bytes(archive, f"{folder.name}.tar.gz", inner)
            else:
                archive.add(folder, f"./{folder.name}", recursive=False)
                for path in sorted(folder.glob("*.xml")):
                    archive.add(path, f"./{folder.name}/{path.name}")
    with tarfile.open(root / "ILSVRC2012_devkit_t12.tar.gz", "w:gz") as archive:
        archive.add(raw / "ILSVRC2012_devkit_t12", "ILSVRC2012_devkit_t12")
    return root


def kaggle_zip(root: Path, raw: Path) -> Path:
    """Kaggle's zip of a Kaggle tree at `raw`, in the folder `root`."""
    root.mkdir()
    path = root / "imagenet-object-localization-challenge.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(raw.rglob("*")):
            archive.write(file, file.relative_to(raw))
    return path


def kaggle_tar(root: Path, raw: Path, name: str = "ILSVRC2017_CLS-LOC.tar.gz", top: str = "ILSVRC") -> Path:
    """A tar of the tree in a Kaggle set at `raw`, with the two lists beside it, in the folder `root`."""
    root.mkdir()
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as archive:
        archive.add(raw / "ILSVRC", top)
    packed = PACKED.get(name.rpartition(".")[2], bytes)
    (root / name).write_bytes(packed(plain.getvalue()))
    for path in raw.glob("LOC_*"):
        shutil.copy(path, root)
    return root


def hub(root: Path, raw: Path, ending: str = ".tar.gz") -> Path:
    """The training images of a classic set at `raw` as the hub has them, in data/ of the folder `root`."""
    (root / "data").mkdir(parents=True)
    images = sorted((raw / "train").glob("*/*.JPEG"))
    random.Random(5).shuffle(images)
    for number in range(5):
        plain = io.BytesIO()
        with tarfile.open(fileobj=plain, mode="w") as tar:
            for path in images[number::5]:
                add_bytes(tar, f"{path.stem}_{path.parent.name}.JPEG", path.read_bytes())
        packed = PACKED.get(ending.rpartition(".")[2], bytes)(plain.getvalue())
        (root / "data" / f"train_images_{number}{ending}").write_bytes(packed)
    return root


def hub_tables(
    root: Path, raw: Path, *, files: int = 3, has_paths: bool = True, metadata: dict[str, str] | None = None
) -> Path:
    """The training images of a classic set at `raw` as Parquet files of the hub, in data/ of the folder `root`."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    (root / "data").mkdir(parents=True)
    images = sorted((raw / "train").glob("*/*.JPEG"))
    random.Random(7).shuffle(images)
    struct = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    for number in range(files):
        some = images[number::files]
        names = [f"{path.stem}_{path.parent.name}.JPEG" if has_paths else None for path in some]
        cells = [{"bytes": path.read_bytes(), "path": name} for path, name in zip(some, names, strict=True)]
        labels = [WNIDS.index(path.parent.name) for path in some]
        table = pa.table({"image": pa.array(cells, struct), "label": pa.array(labels, pa.int64())})
        file = root / "data" / f"train-{number:05}-of-{files:05}.parquet"
        pq.write_table(table.replace_schema_metadata(metadata), file, row_group_size=7)
    return root


def images_alone(root: Path, raw: Path) -> Path:
    """The training images of a classic set at `raw`, without annotations and devkit, in the folder `root`."""
    shutil.copytree(raw / "train", root / "train", ignore=shutil.ignore_patterns("*.xml"))
    return root


def tar_of(paths: Sequence[Path], folder: str = "") -> bytes:
    """A tar of some files."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for path in paths:
            archive.add(path, folder + path.name)
    return data.getvalue()


def add_bytes(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    """Add a member that is no file anywhere."""
    member = tarfile.TarInfo(name)
    member.size = len(data)
    archive.addfile(member, io.BytesIO(data))


def notes_at(path: Path) -> None:
    """Put somebody's text there."""
    path.write_text("my notes")


def link_at(path: Path) -> None:
    """Put a link to somebody's text there."""
    path.with_name("target").write_text("my notes")
    path.symlink_to("target")


def dangling_link_at(path: Path) -> None:
    """Put a link to nothing there."""
    path.symlink_to("new")
