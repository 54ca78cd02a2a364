"""The tests' files: each module of the package has its own, under its name."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import parallel_sharder

PACKAGE = Path(parallel_sharder.__file__).parent
TESTS = Path(__file__).parent

SMALL_LINES = 40
"""Lines of code up to which a module needs no file of tests: what uses it is tested."""

ELSEWHERE = {
    "__init__": ("test_imports", "offers the public names, and imports none before it is wanted"),
    "cli.source_options": ("test_cli_parsers", "has what all command lines of a source share"),
    "catalog.manifest_shape": ("test_catalog_manifest", "is what the manifest's reader goes by"),
    "engines.worker_process": ("test_engines_starting", "runs in workers, which are tested from outside"),
    "indexes.folder": ("test_indexes_shard_sets", "is tested by the indexes of all readers at once"),
    "indexes.reader_index": ("test_indexes_command", "is the interface; each reader has its file"),
    "inspection.described": ("test_inspection_command", "says of a sample what the command shows"),
    "inspection.inspected": ("test_inspection_command", "is what the command returns"),
    "inspection.named": ("test_inspection_command", "finds what the command is to show"),
    "inspection.reading": ("test_inspection_command", "reads it"),
    "option_values": ("test_options", "is what the options are read and checked with"),
    "pages.content": ("test_pages_command", "is what a page says"),
    "pages.compared": ("test_pages_command", "is what the command says of two sets"),
    "pages.paged_set": ("test_pages_command", "is what it makes a page of"),
    "pages.wrong": ("test_pages_command", "is what it says first"),
    "pages.drawn": ("test_pages_command", "chooses what a page is of"),
    "pages.look": ("test_pages_command", "is what workers see of it"),
    "pages.made": ("test_pages_command", "is what the command returns"),
    "pages.problems": ("test_pages_command", "reads what a page begins with"),
    "publish": ("test_catalog_beside", "is three loops over what lies beside the shards"),
    "report.summary": ("test_report_words", "holds facts; the words for them are what people see"),
    "samples.annotated": ("test_samples_forms", "is what the forms of ImageNet share"),
    "samples.file_sizes": ("test_samples_files", "says beforehand what that form writes"),
    "samples.form": ("test_samples_forms", "is the interface; each form is tested there"),
    "sources.class_folders.assembled": ("test_class_folders_scan", "is the last step of the scan"),
    "sources.class_folders.folders": ("test_class_folders_listing", "is what a listing looks at"),
    "sources.class_folders.listed": ("test_class_folders_listing", "holds what is listed"),
    "sources.class_folders.rows": ("test_class_folders_listing", "holds what is listed too"),
    "sources.imagenet.archives": ("test_imagenet_hub", "lists the archives of the hub, and the official ones"),
    "sources.imagenet.image_places": ("test_imagenet_not_found", "is searched by whoever names a folder that is off"),
    "sources.imagenet.layout": ("test_imagenet_scan", "holds what the layouts find"),
    "sources.imagenet.notices": ("test_missing", "says what the scan has found missing"),
    "sources.imagenet.source": ("test_sources_source", "is the one answer to that interface"),
    "sources.imagenet.survey": ("test_imagenet_scan", "is the part of the scan that runs on workers"),
    "sources.imagenet.tree": ("test_imagenet_scan", "is the first of the layouts there"),
    "sources.kept_index": ("test_sources_archive_index", "is the file in which that index is kept"),
    "sources.pairing": ("test_imagenet_scan", "needs a data set to scan"),
    "sources.shards.columns": ("test_shards_source", "is what rows and twins become"),
    "sources.shards.key_lists": ("test_shards_source", "chooses among the rows of a scan"),
    "sources.shards.rows": ("test_shards_source", "is what the scan works on"),
    "sources.shards.scan": ("test_shards_source", "is what the source does"),
    "sources.shards.twins": ("test_shards_source", "settles what shards of a scan have under one key"),
    "sources.survey": ("test_imagenet_scan", "needs a data set to survey"),
    "sources.table.below": ("test_table_scan", "says what no row of a scanned table names"),
    "sources.table.rows": ("test_table_scan", "is the part of the scan that reads the table"),
    "sources.table.table": ("test_table_csv_table", "is the interface; each format has its file"),
    "sources.table.text_file": ("test_table_csv_table", "opens what CSV and JSON lines are read from"),
    "stock": ("test_resume", "is what a run that is continued begins with"),
    "stores.lease_file": ("test_stores_lease", "is what a lease does to its file"),
    "stores.store": ("test_stores_local", "is the interface, to which there is one answer"),
    "tar.member_header": ("test_tar_headers", "reads one header of those that lead to one another"),
    "sources.table.formats": ("test_table_parquet", "opens tables of one file, and of several"),
    "sources.passage": ("test_imagenet_hub", "is how archives are listed that are read through"),
    "staging.stretch": ("test_staging_stage", "is the workers' part of the stage"),
    "staging.stretches": ("test_staging_stage", "cuts what is staged"),
    "staging.embedded": ("test_imagenet_hub_tables", "reads the images of the hub's tables"),
    "staging.parquet": ("test_imagenet_hub_tables", "opens them"),
    "staging.copy": ("test_staging_through", "is what an archive is copied to, as it is read through"),
}
"""Modules whose tests are in the file of another, and why: what stands here is to be said of the module."""

ACROSS = {
    "test_array", "test_bad", "test_benchmarks", "test_convert", "test_faults", "test_files", "test_golden",
    "test_imports", "test_layouts",
    "test_leftovers", "test_missing", "test_no_files", "test_ours",
    "test_pages_browser", "test_permissions", "test_promises", "test_readme",
    "test_syscalls", "test_without_flock",
}  # fmt: skip
"""Files that test what the whole tool does, or the repository."""


def file_of(module: str) -> str:
    """Returns the name that the module's tests have: that of its folder and its own, or the one name if both agree."""
    *folders, name = module.split(".")
    return f"test_{name}" if folders[-1:] in ([], [name]) else f"test_{folders[-1]}_{name}"


def lines_of_code(path: Path) -> int:
    """Returns how many lines have code on them: neither blank, nor a comment, nor part of a docstring."""
    text = path.read_text()
    words = {
        line
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }
    lines = enumerate(text.splitlines(), 1)
    return sum(number not in words and bool(line.strip()) and line.strip()[0] != "#" for number, line in lines)


def module_of(path: Path) -> str:
    """Returns the name of a module within the package."""
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts)


MODULES = {module_of(path): path for path in sorted(PACKAGE.rglob("*.py"))}
FILES = {path.stem for path in TESTS.glob("test_*.py")}


@pytest.mark.parametrize("module", [name for name, path in MODULES.items() if lines_of_code(path) > SMALL_LINES])
def test_each_module_has_a_file_of_tests(module: str) -> None:
    """It has the module's name, but for those of which it is said where their tests are."""
    assert (file_of(module) in FILES) != (module in ELSEWHERE)


def test_each_file_of_tests_has_a_module() -> None:
    """Files have no other names, but for those that test across modules."""
    assert FILES - ACROSS == {file_of(module) for module in MODULES} & FILES
    assert FILES >= ACROSS


def test_tests_elsewhere_are_there() -> None:
    """No module stands there that is gone or small, and each file that is named exists."""
    assert {module for module, path in MODULES.items() if lines_of_code(path) > SMALL_LINES} >= ELSEWHERE.keys()
    assert {file for file, _ in ELSEWHERE.values()} <= FILES
