"""Every reader gives back every sample, byte for byte as the source has it; more are in tests/test_convert.py."""

from __future__ import annotations

import io
import shutil
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from tests.readers.conftest import SAMPLES, Readers, last_with_wids, needs_package, tool
from tests.readers.programs import Decoded, Raw
from tests.reference import members_of

Members = dict[str, dict[str, bytes]]

pytestmark = pytest.mark.parametrize("split", list(SAMPLES))


def raw_samples(members: dict[str, bytes], *, keys: bool = True) -> list[Raw]:
    """The samples that these members are of, sorted."""
    names = sorted({name.partition(".")[0] for name in members})
    return sorted(
        (key if keys else "", members[f"{key}.jpg"], members[f"{key}.cls"], members[f"{key}.json"]) for key in names
    )


def decoded(jpg: bytes, cls: bytes) -> Decoded:
    """A sample as one who decodes it gives it, by Pillow."""
    image = Image.open(io.BytesIO(jpg)).convert("RGB")
    return image.size, image.tobytes(), int(cls)


def test_torch(readers: Readers, members: Members, split: str) -> None:
    """Two processes of a DataLoader, which share the shards, give each sample once."""
    needs_package("torch")
    assert raw_samples(members[split]) == sorted(readers.read("torch", split))


def test_wids(readers: Readers, shards: Path, members: Members, split: str) -> None:
    """The wids package finds each sample by its number through our manifest, and copies no shard."""
    needs_package("wids")
    before = sorted(shards.iterdir())
    assert raw_samples(members[split]) == sorted(readers.read("wids", split))
    assert (before, False) == (sorted(shards.iterdir()), (readers.home / "wids").exists())


def test_wids_in_webdataset(readers: Readers, members: Members, split: str) -> None:
    """So does the last webdataset that had wids in it."""
    folder = last_with_wids()
    assert [str(folder / "wids" / "__init__.py")] == readers.read("wids_is_of", path=[folder])
    assert raw_samples(members[split]) == sorted(readers.read("wids", split, path=[folder]))


@pytest.mark.parametrize("way", ["streaming", "arrow"])
def test_datasets(readers: Readers, members: Members, split: str, way: str) -> None:
    """Hugging Face's datasets gives each sample, as it streams and from Arrow."""
    needs_package("datasets")
    assert raw_samples(members[split]) == sorted(readers.read("datasets", split, way))


@pytest.mark.parametrize("way", ["streaming", "arrow"])
@pytest.mark.parametrize("form", ["original", "boxes", "none"])
def test_datasets_by_card(
    readers: Readers, carded: Path, members: Members, split: str, form: str, way: str, tmp_path: Path
) -> None:
    """With a dataset card a folder loads as it is, of each form: of boxes too if the first samples have none."""
    needs_package("datasets")
    folder = carded / form
    read = readers.read("datasets_by_card", {"train": "train", "val": "validation"}[split], way, folder=folder)
    expected = raw_samples(members_of(folder.glob(f"imagenet_{split}-*.tar")))
    assert len(members[split]) == 3 * len(expected)
    assert expected == sorted(read)


@pytest.mark.parametrize("way", ["index", "no index"])
def test_dali(readers: Readers, members: Members, split: str, way: str) -> None:
    """DALI gives the members of each sample, with our index as without one."""
    needs_package("nvidia-dali-cuda120")
    assert raw_samples(members[split], keys=False) == sorted(readers.read("dali", split, way))


def test_energon(readers: Readers, members: Members, split: str) -> None:
    """Energon, prepared by our index alone, gives each image as Pillow decodes it, its label, and the label's name."""
    needs_package("megatron-energon")
    expected = [(key, decoded(jpg, cls)) for key, jpg, cls, _ in raw_samples(members[split])]
    read = sorted(readers.read("energon", split))
    assert expected == [(key, sample) for key, sample, _ in read]
    for key, _, name in read:
        assert f'"cname": "{name}"'.encode() in members[split][f"{key}.json"]


def test_energon_undecoded(readers: Readers, shards: Path, members: Members, split: str, tmp_path: Path) -> None:
    """Energon's crude samples, undecoded, are the members of each sample."""
    needs_package("megatron-energon")
    folder = tmp_path / "shards"
    shutil.copytree(shards, folder)
    (folder / ".nv-meta" / "undecoded.yaml").write_text("__module__: megatron.energon\n__class__: CrudeWebdataset\n")
    assert raw_samples(members[split]) == sorted(readers.read("energon_undecoded", split, folder=folder))


def test_energon_lint(readers: Readers, split: str) -> None:
    """Energon's own lint finds nothing."""
    readers.run([tool("energon"), "lint", "--split-parts", split, "."])


def test_timm(readers: Readers, members: Members, split: str) -> None:
    """Timm's reader gives each image as Pillow decodes it, with its label."""
    needs_package("timm")
    expected = Counter(decoded(jpg, cls) for _, jpg, cls, _ in raw_samples(members[split]))
    assert expected == Counter(readers.read("timm", split))
