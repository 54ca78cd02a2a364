"""Short paths: no folder of the host is on a page, and no sentence is mangled by what stands for one."""

from __future__ import annotations

from typing import Any

import pytest

from parallel_sharder.pages.history import History, PastRun
from parallel_sharder.pages.short_paths import ShortPaths


def paths(folder: str = "/out", root: str = "/data/raw", **options: Any) -> ShortPaths:
    places = {root: "ROOT", "/out": "DEST"}
    run = PastRun(0.0, "a", 1, 1, "processes", "1", "", {"root": root, **options}, 0.0, places=places)
    return ShortPaths(History([run]), folder)


TEXTS = {
    "/data/raw/cat/1.jpg is cut off": "ROOT/cat/1.jpg is cut off",
    "/data/raw: nothing, (/data/raw/x), '/data/raw'": "ROOT: nothing, (ROOT/x), 'ROOT'",
    "/out/x-000.tar is there.": "DEST/x-000.tar is there.",
    "written to /out.": "written to DEST.",
    "/data/rawer/x stays apart": ".../x stays apart",
    "/home/alice/secret/classes.txt has it": ".../classes.txt has it",
    "see https://example.org/a/b/c": "see https://example.org/a/b/c",
    "1/2 and text/html": "1/2 and text/html",
    "no path": "no path",
}


@pytest.mark.parametrize("text", TEXTS)
def test_texts(text: str) -> None:
    """Known places have their names, and of other absolute paths the last part is left."""
    assert TEXTS[text] == paths().text(text)


def test_relative_root_is_no_word() -> None:
    """A root that was typed as "images" stands for itself only where a path goes on."""
    short = paths(root="images", dest="shards/x-%06d.tar")
    assert "files that are no images, in shards" == short.text("files that are no images, in shards")
    assert "ROOT/cat/1.jpg" == short.text("images/cat/1.jpg")
    assert "ROOT/cat/1.jpg" == short.path("images/cat/1.jpg")
    assert "DEST/x-000001.tar" == short.path("shards/x-000001.tar")
    assert "my images/cat" == paths(root="ages").text("my images/cat")


@pytest.mark.parametrize("root", ["/data/it's", "/data/br[1]", "/data/p%q", "/data/a b", "/data/x{1}"])
def test_odd_roots(root: str) -> None:
    """A path is found by its beginning, whatever is in it."""
    assert "ROOT/cat/1.jpg" == paths(root=root).path(f"{root}/cat/1.jpg")


def test_words_of_a_command() -> None:
    """Each word is a path or none; what lies elsewhere keeps its name."""
    words = ["x", "--root", "/data/raw", "--meta", "/home/alice/my classes.txt", "--dest", "/out/x-%06d.tar"]
    expected = ["x", "--root", "ROOT", "--meta", ".../my classes.txt", "--dest", "DEST/x-%06d.tar"]
    assert expected == paths().words(words)


def test_folder_as_it_was_typed() -> None:
    """That of the shards, too, with dots in it or relative."""
    assert "DEST/x.tar" == paths("/tmp/./f1/../f2").path("/tmp/./f1/../f2/x.tar")
    assert "DEST/x.tar" == paths("f2").path("f2/x.tar")
    assert "./x.tar" == paths(".").path("./x.tar")


def test_without_events() -> None:
    """Nothing is known but the folder of the shards."""
    short = ShortPaths(History(), "/out")
    assert ".../1.jpg: no JPEG" == short.text("/data/raw/cat/1.jpg: no JPEG")
    assert ".../1.jpg" == short.path("/data/raw/cat/1.jpg")
