"""The values that pass between modules: what they make printable, and what they cross a process as."""

from __future__ import annotations

import numpy as np

from parallel_sharder.columns import Texts
from parallel_sharder.kinds import Kind
from parallel_sharder.model import Deviation, ImageClass, Job, Listing, Part, Place, Problem, Role


def test_texts_from_data_are_made_printable() -> None:
    """A Problem and a Deviation hold nothing that a terminal obeys, whatever they were given."""
    problem = Problem(Kind.BAD_IMAGE, "a\x1b[2Jb", "k\n", "\x07")
    deviation = Deviation("a\x1b[2Jb", "\x07", "k\n")
    for text in (problem.path, problem.key, problem.detail, deviation.path, deviation.key, deviation.detail):
        assert text.isprintable()


def test_a_broken_sample_that_is_kept_is_not_left_out() -> None:
    """The same problem leaves the sample out unless it is kept."""
    assert Problem(Kind.BAD_IMAGE, "x", "k", "is cut off").leaves_out
    assert not Problem(Kind.BAD_IMAGE, "x", "k", "is cut off", kept=True).leaves_out


def test_an_empty_class_is_left_out() -> None:
    """That is no sample, of which the number would be known."""
    problem = Problem(Kind.EMPTY_CLASS, "n01440764", "", "has no image")
    assert (True, False, True) == (problem.leaves_out, problem.leaves_out_sample, problem.leaves_out_class)


def test_a_job_is_the_same_after_it_has_crossed() -> None:
    """Paths of any bytes too."""
    places = (Place("/raw/\udcff", "/raw/\udcff"), Place("/spool", "boxes.tar"))
    classes = (ImageClass(0, "tench, Tinca tinca", "n01440764"), ImageClass(1, "Münsterländer", "n2"))
    job = Job(places, classes, "gzip", 3, "boxes", "keep", md5=True)
    assert job == Job.unpack(job.pack())


def part(role: Role, *, ending: bool = False, extent: bool = False) -> Part:
    rows = np.arange(4)
    return Part(
        role,
        (".JPEG", ".png") if ending else (".JPEG",),
        rows.astype(np.int32),
        rows * 100,
        np.column_stack([rows, rows, rows]).astype(np.int64) if extent else None,
        (rows % 2).astype(np.uint8) if ending else None,
    )


def test_a_packed_part_has_the_rows_that_were_asked_for() -> None:
    """In the order of the rows, each column in its type; columns that the Part lacks are empty."""
    rows = np.array([3, 1], np.int32)
    packed = part(Role.IMAGE).pack(rows)
    assert ([3, 1], [300, 100], b"", b"") == (
        np.frombuffer(packed.place, np.int32).tolist(),
        np.frombuffer(packed.size, np.int64).tolist(),
        packed.extent,
        packed.ending,
    )
    full = part(Role.IMAGE, ending=True, extent=True).pack(rows)
    assert [3, 3, 3, 1, 1, 1] == np.frombuffer(full.extent, np.int64).tolist()
    assert bytes([1, 1]) == full.ending


def test_a_listing_counts_what_is_left_out() -> None:
    """The images of its problems, and not the classes or what is stored all the same."""
    kinds = (Kind.BAD_IMAGE, Kind.MISPLACED_IMAGE, Kind.EMPTY_CLASS, Kind.CMYK)
    problems = tuple(Problem(kind, "x", "k", "") for kind in kinds)
    images = part(Role.IMAGE)
    listing = Listing((), (), (), Texts.of([b"a", b"b", b"c", b"d"]), images.place, (images,), problems)
    assert (4, 2) == (len(listing), listing.left_out)
    assert images is listing.part(Role.IMAGE)
