"""The options of a conversion that say what is read: the data set, and of class folders, tables and shards which parts.

They are added to the parser of the conversion, in groups, with the words of --help. Their values are checked in
options.py.
"""

from __future__ import annotations

import argparse


def add_source_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that say what is read."""
    _add_general(parser.add_argument_group("source"))
    _add_imagenet(parser.add_argument_group("ImageNet"))
    _add_folders(parser.add_argument_group("class folders"))
    _add_table(parser.add_argument_group("tables"))
    _add_shards(parser.add_argument_group("shards"))


def _add_general(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--root",
        action="append",
        metavar="DIR",
        help="the data set (default: .); of shards a quoted pattern with wildcards or braces, and more by more --root",
    )
    group.add_argument(
        "--split", metavar="train|val|test", help="which part of the data set, if it has several (default: train)"
    )
    group.add_argument(
        "--layout",
        metavar="NAME",
        help="what to read if a folder has several: tree, kaggle, archives, zip, tar, hub, parquet (ImageNet), "
        "folders, table, shards",
    )
    group.add_argument(
        "--meta",
        metavar="FILE",
        help="class list: of ImageNet meta.mat, the devkit's archive, or a text with lines 'wnid words'; of others a "
        "text with a class a line, in the order of the labels, and words behind it (default: found by itself)",
    )
    group.add_argument(
        "--on-bad",
        metavar="skip|keep|fail",
        help="broken samples: leave them out and list them (default), store images as they are, or stop at the first",
    )


def _add_imagenet(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--labels",
        metavar="devkit|sorted",
        help="of ImageNet alone: devkit: 1..1000 by ILSVRC2012_ID (default); sorted: 0..999 by sorted wnid, as "
        "torchvision and timm do",
    )
    group.add_argument(
        "--annotations",
        metavar="original|boxes|none",
        help="form of the JSON: as the XML has it (default), boxes and sizes in one shape for all samples, or no "
        "annotation",
    )
    group.add_argument(
        "--xml-root",
        metavar="PATH",
        help="where annotations are, if in a tree or tar archive of their own (default: found by itself)",
    )
    group.add_argument(
        "--check-archives",
        action="store_true",
        help="first compare the official archives with their published MD5",
    )


def _add_folders(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--with",
        dest="with_",
        metavar="ENDINGS",
        help="store files of these endings too, such as txt,json, with the image of the same name",
    )
    group.add_argument(
        "--image-field",
        metavar="NAME",
        help="one field for all images, of tables too (default: by the ending of each, jpg, png and so on)",
    )


def _add_table(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--table", metavar="FILE", help="CSV, TSV, JSON lines or Parquet with a row a sample (extra: tables)"
    )
    group.add_argument("--image", metavar="COLUMN", help="paths of the images (default: image, file_name, or similar)")
    group.add_argument("--label", metavar="COLUMN", help="labels (default: label, cls or class, if there is one)")
    group.add_argument(
        "--caption", metavar="COLUMN", help="captions, stored as txt (default: caption, text or txt, if there is one)"
    )
    group.add_argument("--key", metavar="COLUMN", help="keys (default: made from the paths)")
    group.add_argument("--columns", metavar="NAMES", help="columns that the JSON has (default: all others)")


def _add_shards(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--keep", metavar="FILE", help="store only samples whose keys are in this file, one a line")
    group.add_argument("--drop", metavar="FILE", help="leave out samples whose keys are in this file, one a line")
    group.add_argument(
        "--where",
        metavar="EXPR",
        help="store only samples for which this holds, by cls and the JSON: 'cls in [3, 5] and not width < 256'",
    )
    group.add_argument(
        "--rename-keys", action="store_true", help="give samples new keys where some readers cannot read the old ones"
    )
    group.add_argument(
        "--on-duplicate",
        metavar="fail|rename|skip",
        help="samples whose key an earlier one has: fail (default), rename them, or skip them (status 3)",
    )
    group.add_argument(
        "--apart",
        metavar="refuse|join",
        help="samples whose members are not side by side: refuse them (default), or join the members",
    )
