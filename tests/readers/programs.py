"""The readers: each function yields all samples of a split as one library gives them, from the current directory.

`python -m tests.readers.programs FILE FUNCTION ARGUMENT...` writes what the function yields to FILE, pickled. `Raw` is
what libraries give that leave the members as they are, `Decoded` what those give that decode the image.
"""

from __future__ import annotations

import json
import pickle
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

Raw = tuple[str, bytes, bytes, bytes]  # key, jpg, cls, json; the key is empty where the library does not tell it
Decoded = tuple[tuple[int, int], bytes, int]  # (width, height), RGB, label


def torch(split: str) -> Iterator[Raw]:
    """Torch's DataLoader over webdataset, with two worker processes."""
    import webdataset
    from torch.utils.data import DataLoader

    dataset = webdataset.WebDataset(shards_of(f"imagenet_{split}"), shardshuffle=False)
    for sample in DataLoader(dataset, batch_size=None, num_workers=2):
        yield sample["__key__"], sample["jpg"], sample["cls"], sample["json"]


def wids(split: str) -> Iterator[Raw]:
    """By number, from the last to the first."""
    import wids

    dataset = wids.ShardListDataset(f"imagenet_{split}.json", cache_dir=".", transformations=[])
    for number in reversed(range(len(dataset))):
        sample = dataset[number]
        yield sample["__key__"], sample[".jpg"].read(), sample[".cls"].read(), sample[".json"].read()


def wids_is_of() -> Iterator[str]:
    """Where the library that `wids` above has used comes from."""
    import wids

    yield str(wids.__file__)


def datasets(split: str, streaming: str) -> Iterator[Raw]:
    """Hugging Face's `datasets`, streaming or through Arrow."""
    from datasets import Features, Image, Json, Value, load_dataset

    features = Features({"__key__": Value("string"), "jpg": Image(decode=False), "cls": Value("int64"), "json": Json()})
    dataset = load_dataset(
        "webdataset",
        data_files={split: f"imagenet_{split}-*.tar"},
        split=split,
        features=features,
        streaming=streaming == "streaming",
    )
    for sample in dataset:
        # It parses labels and JSON; Python's own json gives the bytes back as they were, as long as nothing was lost.
        yield sample["__key__"], sample["jpg"]["bytes"], b"%d" % sample["cls"], json.dumps(sample["json"]).encode()


def datasets_by_card(split: str, streaming: str) -> Iterator[Raw]:
    """The same with the types that the folder's README.md has, and nothing else said."""
    from datasets import Image, load_dataset

    dataset = load_dataset(str(Path.cwd()), split=split, streaming=streaming == "streaming")
    for sample in dataset.cast_column("jpg", Image(decode=False)):
        yield sample["__key__"], sample["jpg"]["bytes"], b"%d" % sample["cls"], json.dumps(sample["json"]).encode()


def dali(split: str, indexed: str) -> Iterator[Raw]:
    """DALI on the CPU, with our index or with what it finds itself."""
    fields = ["jpg", "cls", "json"]
    for jpg, cls, annotation in dali_members(f"imagenet_{split}", indexed, fields, missing_component_behavior="error"):
        yield "", jpg, cls, annotation


def dali_members(name: str, indexed: str, components: list[str], **options: str) -> Iterator[tuple[bytes, ...]]:
    """DALI on the CPU: the bytes of each component (`jpg;png` is one or the other), empty where a sample has none."""
    from nvidia.dali import Pipeline, fn

    shards = shards_of(name)
    indexes = {"index_paths": [str(Path(shard).with_suffix(".idx")) for shard in shards]} if indexed == "index" else {}
    with Pipeline(batch_size=32, num_threads=2, device_id=None) as pipeline:
        members = fn.readers.webdataset(name="reader", paths=shards, ext=components, **options, **indexes)
        pipeline.set_outputs(*members)
    pipeline.build()
    left = pipeline.reader_meta("reader")["epoch_size"]
    while left > 0:
        for sample in zip(*map(list, pipeline.run()), strict=True):
            if left > 0:  # the last batch goes on with the next epoch
                yield tuple(bytes(memoryview(member)) for member in sample)
            left -= 1


def energon(split: str) -> Iterator[tuple[str, Decoded, str]]:
    """Energon by the dataset.yaml that our index has: the key, the sample, and the label's name."""
    from megatron.energon import WorkerConfig, get_loader, get_val_dataset

    config = WorkerConfig.default_worker_config(2)
    for sample in get_loader(get_val_dataset(".", split_part=split, worker_config=config, batch_size=None)):
        pixels = (sample.image * 255).round().byte().permute(1, 2, 0).contiguous().numpy()
        height, width, _ = pixels.shape
        yield sample.__key__, ((width, height), pixels.tobytes(), sample.label), sample.label_name


def energon_undecoded(split: str) -> Iterator[Raw]:
    """Energon by the dataset configuration undecoded.yaml, which the test has added."""
    for key, members in energon_members(split):
        yield key, members["jpg"], members["cls"], members["json"]


def energon_members(split: str) -> Iterator[tuple[str, dict[str, bytes]]]:
    """Energon by the same configuration: all fields of each sample, beside its key."""
    from megatron.energon import (
        Cooker,
        DefaultTaskEncoder,
        Sample,
        WorkerConfig,
        basic_sample_keys,
        edataclass,
        get_loader,
        get_val_dataset,
        stateless,
    )

    @edataclass
    class Undecoded(Sample):  # type: ignore[misc]
        members: dict[str, bytes]

    @stateless  # type: ignore[untyped-decorator]
    def cook(sample: dict[str, Any]) -> Undecoded:
        members = {field: data for field, data in sample.items() if field[0] != "_"}
        return Undecoded(**basic_sample_keys(sample), members=members)

    class Encoder(DefaultTaskEncoder):  # type: ignore[misc]
        decoder = None
        cookers = [Cooker(cook)]  # noqa: RUF012

    dataset = get_val_dataset(
        ".",
        split_part=split,
        dataset_config="undecoded.yaml",
        worker_config=WorkerConfig.default_worker_config(0),  # the class above would not pass between processes
        batch_size=None,
        task_encoder=Encoder(),
    )
    for sample in get_loader(dataset):
        yield sample.__key__, sample.members


def timm(split: str) -> Iterator[Decoded]:
    """Timm's wds reader."""
    from timm.data import create_dataset

    for image, label in create_dataset("wds/imagenet", root=".", split=split, is_training=False, batch_size=32):
        yield image.size, image.tobytes(), label


def timm_info(split: str) -> Iterator[Any]:
    """What timm makes of `_info.json`: name, files, their samples, and their sum."""
    from timm.data import create_dataset

    info = create_dataset("wds/imagenet", root=".", split=split, is_training=False, batch_size=32).reader.split_info
    yield from (info.name, info.filenames, info.shard_lengths, info.num_samples)


def open_clip_size(split: str) -> Iterator[Any]:
    """What open_clip makes of `sizes.json`: the numbers of samples and of shards."""
    from open_clip_train.data import get_dataset_size

    yield from get_dataset_size(f"imagenet_{split}-{{000000..{len(shards_of(f'imagenet_{split}')) - 1:06}}}.tar")


def wds2idx(*shards: str) -> Iterator[str]:
    """DALI's own index tool, on one shard after the other: nothing to yield but what it has written."""
    import wds2idx

    for shard in shards:
        sys.argv = ["wds2idx", shard]
        wds2idx.main()
        yield str(Path(shard).with_suffix(".idx"))


def widsindex(output: str, name: str, *shards: str) -> Iterator[str]:
    """The wids index tool."""
    from wids import wids_dl, wids_index

    # The tool would copy each shard to one fixed path, outside of anything that a test may write to.
    wids_dl.download_file = lambda remote, _local: remote
    sys.argv = ["widsindex", "create", "--output", output, "--name", name, *shards]
    wids_index.main()
    yield output


def shards_of(name: str) -> list[str]:
    """The names of the shards in the current directory whose names begin so."""
    return sorted(path.name for path in Path().glob(f"{name}-*.tar"))


def write_result(programs: Mapping[str, Any], to: str, function: str, *arguments: str) -> None:
    """Write what one of some `programs` yields to the file `to`, pickled."""
    Path(to).write_bytes(pickle.dumps(list(programs[function](*arguments))))


if __name__ == "__main__":
    write_result(globals(), *sys.argv[1:])
