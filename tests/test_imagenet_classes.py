"""Class lists in many forms: which are read, and which are refused with a remedy."""

from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import pytest
import scipy.io

from parallel_sharder.errors import SourceError
from parallel_sharder.sources.imagenet.classes import META_TAKES, PACKAGE_TABLE, ilsvrc_ids, read_classes
from tests import made

pytestmark = pytest.mark.usefixtures("typed")


TENCH, GOLDFISH = ("n01440764", "tench, Tinca tinca"), ("n01443537", "goldfish, Carassius auratus")
CAFFE = f"{TENCH[0]} {TENCH[1]}\n{GOLDFISH[0]} {GOLDFISH[1]}\n"
TORCHVISION = ({wnid: tuple(words.split(", ")) for wnid, words in (TENCH, GOLDFISH)}, [GOLDFISH[0], TENCH[0]])


def names_in(path: Path) -> list[tuple[str, str]]:
    classes = read_classes(path, "devkit")
    assert [ilsvrc_ids()[row.wnid] for row in classes] == [row.label for row in classes]
    return [(row.wnid, row.name) for row in classes]


def test_table_in_this_package() -> None:
    """The package has all 1,000 classes, with the devkit's IDs and words, for either order of labels."""
    by_id = {row.label: (row.wnid, row.name) for row in read_classes(PACKAGE_TABLE, "devkit")}
    assert list(range(1, 1001)) == sorted(by_id)
    assert ("n02119789", "kit fox, Vulpes macrotis") == by_id[1]
    assert TENCH == by_id[449]
    assert [TENCH[1], GOLDFISH[1]] == [row.name for row in read_classes(PACKAGE_TABLE, "sorted")[:2]]
    content = "".join(f"{label} {wnid} {name}\n" for label, (wnid, name) in sorted(by_id.items()))
    assert (
        "8c038b13b7818a5345d64dbe24970e3f" == hashlib.md5(content.encode(), usedforsecurity=False).hexdigest()
    )  # of the devkit's rows


def torch_zip(saved: object) -> bytes:
    """What torch.save writes since version 1.6."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(saved, 2))
        archive.writestr("archive/version", "3\n")
    return data.getvalue()


def torch_legacy(saved: object, protocol: int = 2) -> bytes:
    """What torch.save wrote before version 1.6: five pickles, the fourth of which is what was saved."""
    head = (0x1950A86A20F9469CFC6C, 1001, {"protocol_version": 1001, "little_endian": True})
    return b"".join(pickle.dumps(each, protocol) for each in (*head, saved, []))


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(CAFFE.encode("utf-8-sig"), id="byte order mark"),
        pytest.param(CAFFE.replace("\n", "\r\n").encode() + b"\r\n\r\n", id="CRLF and blank lines at the end"),
        pytest.param(b"# wnid words\n\n" + CAFFE.replace("\n", "\n\n# more\n").encode(), id="comments and blank lines"),
        pytest.param(CAFFE.replace(" tench", "\ttench").replace(" goldfish", "\tgoldfish").encode(), id="tabs"),
        pytest.param(CAFFE.replace(" tench", "   tench").encode(), id="several spaces"),
        pytest.param(CAFFE.replace(" tench", ",tench").replace(" goldfish", ", goldfish").encode(), id="commas"),
        pytest.param("".join(f'{wnid},"{words}"\n' for wnid, words in (GOLDFISH, TENCH)).encode(), id="quoted words"),
        pytest.param("".join(f'"{wnid}";"{words}"\n' for wnid, words in (TENCH, GOLDFISH)).encode(), id="all quoted"),
        pytest.param(f"{TENCH[0]} 9 {TENCH[1]}\n{GOLDFISH[0]} 1 {GOLDFISH[1]}\n".encode(), id="as in map_clsloc.txt"),
        pytest.param(json.dumps({"0": TENCH, "1": GOLDFISH}).encode(), id="imagenet_class_index.json"),
        pytest.param(json.dumps(dict((TENCH, GOLDFISH))).encode(), id="JSON by wnid"),
        pytest.param(torch_zip(TORCHVISION), id="meta.bin"),
        pytest.param(torch_legacy(TORCHVISION), id="meta.bin of old"),
        pytest.param(torch_legacy(TORCHVISION, 4), id="meta.bin of old, protocol 4"),
        pytest.param(pickle.dumps(TORCHVISION, 4), id="the same by pickle itself"),
    ],
)
def test_forms_of_class_lists(tmp_path: Path, content: bytes) -> None:
    """Each of these lists the same two classes; labels are the devkit's IDs, whatever numbers stand in the list."""
    path = tmp_path / "classes"
    path.write_bytes(content)
    assert [TENCH, GOLDFISH] == names_in(path)


def test_commas_in_words_are_no_columns(tmp_path: Path) -> None:
    """Behind a space, commas, quotes and numbers belong to the words, and so do quotes in quoted words."""
    path = tmp_path / "classes.txt"
    path.write_text(f'{TENCH[0]} "a", b\n{GOLDFISH[0]},"say ""c"", d"\n')
    assert [(TENCH[0], '"a", b'), (GOLDFISH[0], 'say "c", d')] == names_in(path)
    path.write_text(f"{TENCH[0]} 7 up\n{GOLDFISH[0]} fish\n")
    assert [(TENCH[0], "7 up"), (GOLDFISH[0], "fish")] == names_in(path)


@pytest.mark.parametrize("lines", ["n01443537\nn01440764\n", "n01440764,\nn01443537,\n", "n01440764 0\nn01443537 1\n"])
def test_wnids_without_words(tmp_path: Path, lines: str) -> None:
    """A class without words has its wnid for a name."""
    path = tmp_path / "classes.txt"
    path.write_text(lines)
    assert [(TENCH[0], TENCH[0]), (GOLDFISH[0], GOLDFISH[0])] == names_in(path)


@pytest.mark.parametrize("call", ["OrderedDict({})", "{}", "dict(\n    {}\n)"])
def test_classes_py(tmp_path: Path, call: str) -> None:
    """The hub's classes.py is read as text; none of its code is run."""
    path = tmp_path / "classes.py"
    code = f"from collections import OrderedDict\n\nopen({str(tmp_path / 'run')!r}, 'w')\n"
    path.write_text(f"{code}IMAGENET2012_CLASSES = {call.replace('{}', repr(dict((TENCH, GOLDFISH))))}\n")
    assert [TENCH, GOLDFISH] == names_in(path)
    assert not (tmp_path / "run").exists()


class Hostile:
    """Runs code when a common unpickler meets it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return open, (str(self.path), "w")


def test_pickle_that_would_run_code(tmp_path: Path) -> None:
    """A pickle that names a function is refused, and the function is not called."""
    for saved in (torch_zip, torch_legacy):
        path = tmp_path / "meta.bin"
        path.write_bytes(saved((Hostile(tmp_path / "run"), [])))
        with pytest.raises(SourceError, match=r"it names _?io\.open"):
            read_classes(path, "devkit")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.JPEG", b"\xff\xd8\xff\xe0", "it is not text in UTF-8, from byte 0 on"),
        ("x.png", b"\x89PNG\r\n\x1a\n", "it is not text in UTF-8, from byte 0 on"),
        ("x", b"\0\1\2\3", "it is not text, since it holds zero bytes"),
        ("x.txt", b"", "lists 0 classes"),
        ("x.txt", b"\xef\xbb\xbf\r\n# nothing\r\n", "lists 0 classes"),
        ("x.csv", b"ImageId,PredictionString\n", "line 1 is 'ImageId,PredictionString': 'ImageId' is not a WordNet ID"),
        ("x.txt", b"490\n361\n", "line 1 is '490': '490' is not a WordNet ID"),
        ("x.xml", b"<annotation>\n", "'<annotation>' is not a WordNet ID"),
        ("x.csv", b'n01440764,"tench",7\n', "line 1 has more than a WordNet ID and its words"),
        ("x.json", b'["tench", "goldfish"]', "it has 'tench' where a WordNet ID and its words should be"),
        ("x.json", b'{"tench": "Tinca tinca"}', "'tench' is not a WordNet ID"),
        ("x.json", b'{"0": {"1": 2}}', "where a WordNet ID and its words should be"),
        ("x.json", b'{"0": ["n01440764"', "it is not JSON"),
        ("x.json", b"[" * 100_000, "it is not JSON"),
        ("x.py", b"import os\n", "it assigns no dict of words by WordNet ID"),
        ("x.py", b"def", "it is not Python source"),
        ("x.bin", torch_zip({"state_dict": 1}), "it is not torchvision's meta.bin"),
        ("x.zip", b"PK\x03\x04", "it is not torchvision's meta.bin"),
        ("x.pkl", b"\x80\x02.", "it is not torchvision's meta.bin"),
        ("x.pkl", pickle.dumps([1], 2), "it is not torchvision's meta.bin"),
    ],
)
def test_wrong_files_for_meta(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    """The message about any other file says what is wrong with it, and which files --meta takes."""
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(SourceError) as caught:
        read_classes(path, "devkit")
    assert str(caught.value).startswith(f"{path}")
    assert message in str(caught.value)
    assert str(caught.value).endswith(META_TAKES)


def damaged_mats(whole: bytes) -> dict[str, bytes]:
    other = io.BytesIO()
    scipy.io.savemat(other, {"a": 1})
    return {"nothing": b"", "cut": whole[:1000], "zeros": bytes(5000), "text": b"hello" * 99, "other": other.getvalue()}


@pytest.mark.parametrize("damage", ["nothing", "cut", "zeros", "text", "other"])
def test_damaged_meta_mat(tmp_path: Path, damage: str) -> None:
    """The message about a damaged meta.mat is in plain words, not in Python's."""
    path = made.write_devkit(tmp_path) / "meta.mat"
    path.write_bytes(damaged_mats(path.read_bytes())[damage])
    why = "it has no array of that name" if damage == "other" else "it is damaged, or is another file"
    with pytest.raises(SourceError) as caught:
        read_classes(path, "devkit")
    assert f"num_children): {why}. Unpack ILSVRC2012_devkit_t12.tar.gz again, or name" in str(caught.value)


def test_class_twice_in_json(tmp_path: Path) -> None:
    """A class that is twice in a JSON file is refused, like one in two lines; a dict would hide it."""
    path = tmp_path / "classes.json"
    path.write_text('{"n01440764": "tench", "n01440764": "goldfish"}')
    with pytest.raises(SourceError, match="2 classes with 1 different wnid; .* n01440764 is listed again"):
        read_classes(path, "devkit")


def test_large_file_for_meta(tmp_path: Path) -> None:
    """A file that is far too large is not read into memory."""
    path = tmp_path / "train.bin"
    path.touch()
    os.truncate(path, 1 << 40)
    with pytest.raises(SourceError, match=r"train.bin has 1,099,511,627,776 bytes"):
        read_classes(path, "devkit")
