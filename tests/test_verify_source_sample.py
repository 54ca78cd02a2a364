"""A sample of the source that is listed as left out or as broken: it is read, and the list believed if true."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.sealed import left_out, listed, make, problems_path, run, said, verify
from tests.test_bad import picture


@pytest.mark.parametrize("kind", ["bad-image", "bad-annotation", "other-ending", "misplaced-image"])
def test_sound_samples_that_are_listed_as_bad(tmp_path: Path, kind: str) -> None:
    """The source is looked at again, and the list believed only where it is true."""
    make(tmp_path)
    path = left_out(tmp_path)
    problems_path(tmp_path).write_text(listed(path, kind))
    verdict = verify(tmp_path, source=True)
    [deviation] = verdict.deviations
    assert (1, str(problems_path(tmp_path)), path.stem) == (verdict.exit_code, deviation.path, deviation.key)
    assert re.fullmatch(
        rf"says that {path} is left out \(.*: why\), and it is sound; a conversion would store it", deviation.detail
    )


@pytest.mark.parametrize("kind", ["unreadable", "changed"])
def test_samples_that_can_be_read_by_now(tmp_path: Path, kind: str) -> None:
    """What could not be read, or was just changing, is left out until the next conversion."""
    make(tmp_path)
    path = left_out(tmp_path)
    problems_path(tmp_path).write_text(listed(path, kind))
    assert "and it can be read now; a conversion would store it" in said(verify(tmp_path, source=True))
    path.unlink()
    path.symlink_to("nowhere")  # which no run can read
    assert ("", 3) == (said(verify(tmp_path, source=True)), verify(tmp_path, source=True).exit_code)


def _xml(text: str) -> Callable[[Path], object]:
    return lambda image: image.with_suffix(".xml").write_text(text)


SPOILT: dict[str, tuple[str, Callable[[Path], object]]] = {
    "an empty image": ("original", lambda image: image.write_bytes(b"")),
    "a cut image": ("original", lambda image: image.write_bytes(picture()[:-40])),
    "no XML": ("original", _xml("<annotation>")),
    "deep XML": ("original", _xml("<annotation>" + "<a>" * 100_000 + "</a>" * 100_000 + "</annotation>")),
    "large XML": ("boxes", _xml("<annotation>" + "<a/>" * 300_000 + "</annotation>")),
    "an image without size": ("boxes", lambda image: image.write_bytes(b"\x59\xa6\x6a\x95" + bytes(28))),
}


@pytest.mark.parametrize("fault", SPOILT)
def test_broken_samples_that_are_listed(tmp_path: Path, fault: str) -> None:
    """What a conversion leaves out is left out rightly; and is not, once it has been mended."""
    make(tmp_path)
    annotations, spoil = SPOILT[fault]
    [image, *_] = sorted(path for path in tmp_path.glob("raw/train/*/*.JPEG") if not path.with_suffix(".xml").exists())
    spoil(image)
    run(tmp_path, overwrite=True, annotations=annotations)
    verdict = verify(tmp_path, source=True)
    assert ("", 3, 1) == (said(verdict), verdict.exit_code, verdict.left_out)
    image.write_bytes(picture())
    image.with_suffix(".xml").unlink(missing_ok=True)
    assert f"says that {image} is left out" in said(verify(tmp_path, source=True))


def test_sound_annotations_that_are_listed_as_bad(tmp_path: Path) -> None:
    """Where broken ones are kept, a sample without its annotation is sound only if that is broken."""
    make(tmp_path)
    xmls = sorted(tmp_path.glob("raw/train/*/*.xml"))
    sound = xmls[0].read_text()
    xmls[0].write_text("<annotation>")
    run(tmp_path, overwrite=True, on_bad="keep")
    assert "" == said(verify(tmp_path, source=True))
    xmls[0].write_text(sound)
    [deviation] = verify(tmp_path, source=True).deviations
    assert f"its annotation is listed as broken, but the source has {xmls[0]}, which is sound" == deviation.detail
    xmls[0].unlink()
    [deviation] = verify(tmp_path, source=True).deviations
    assert "its annotation is listed as broken, but the source has none" == deviation.detail
