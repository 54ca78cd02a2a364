"""The words of a command line: what is taken, and what is said of what is not."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest

import parallel_sharder
from parallel_sharder.cli.main import main
from tests import made
from tests.test_cli_main import COMMAND, ENVIRONMENT, run
from tests.test_node import array


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["--workers", "many"], 2, "--workers: 'many' is not a whole number"),
        (["--maxsize", "1XB", "--seed", "-1", "--split", "dev"], 2, "--maxsize: '1XB' is not a size"),
        (["--maxsize", "1XB", "--seed", "-1", "--split", "dev"], 2, "--seed -1 is outside 0 to"),
        (["--maxsize", "1XB", "--seed", "-1", "--split", "dev"], 2, "--split 'dev' is not one of train, val, test"),
        (["--layout", "mine"], 2, "--layout 'mine' is not one of tree, kaggle, archives, zip"),
        (["--layout", "zip"], 1, "Kaggle zip: "),
        (["--check-archives"], 1, "--check-archives: the images are read from "),
        (["--labels", "mine"], 2, "--labels 'mine' is not one of devkit, sorted"),
        (["--dest", "x.tar"], 2, "--dest: x.tar has no place for the shard number; write x-%06d.tar"),
        (["--frobnicate"], 2, "there is no option --frobnicate. parallel-sharder --help shows all options."),
        (["--workers"], 2, "--workers needs a value. parallel-sharder --help"),
        (["--quiet=3"], 2, "--quiet takes no value, and has '3'. parallel-sharder --help"),
        (["--no-shuffle", "--seed", "0"], 2, "--seed and --no-shuffle exclude each other."),
        (
            ["--check", "--overwrite"],
            2,
            "--check keeps what is whole, and --overwrite keeps nothing; leave one of them",
        ),
        (["--dest", ""], 2, "--dest is empty; name a path (this folder is .)"),
        (["--root="], 2, "--root is empty; name a path"),
        (["--meta", "", "--xml-root", ""], 2, "--xml-root is empty; name a path (this folder is .)\n--meta is empty; "),
        (["verify", ""], 2, "DEST is empty; name a path"),
        (["verify", "x", "--source", ""], 2, "--source is empty; name a path"),
        (["index", ""], 2, "DEST is empty; name a path"),
        (["verify"], 2, "DEST is missing. parallel-sharder verify --help shows all options."),
        (["verify", "x", "--workers", "two"], 2, "--workers: 'two' is not a whole number"),
        (["verify", "x-%d.tar"], 2, "DEST: x-%d.tar needs exactly one shard number"),
        (["verify", "x", "--shards", "3"], 2, "there is no option --shards of verify. parallel-sharder verify --help"),
        (["verify", "nowhere"], 1, "nowhere cannot be read: No such file or directory. Name the folder of the shards."),
        (["verify", "train"], 1, "train holds no set of shards: no manifest, such as imagenet_train.json, and no *.t"),
        (["--root", "nowhere"], 1, "nowhere is not a folder"),
        (["--split", "val"], 1, "no val images found under"),
        (["--meta", "none.mat"], 1, "none.mat, named with --meta, is not a file"),
        (["--xml-root", "none"], 1, "none, named with --xml-root, is neither a folder nor a tar archive. Name the "),
        (["--maxsize", "2000"], 1, "alone needs a shard of"),
        (["--shards", "1000"], 1, "--shards 1000: there are 60 samples, and no shard is empty. Ask for at most 60."),
        (["--dest", "s3://bucket/x-%06d.tar"], 2, "--dest: s3://bucket/x-%06d.tar is an address, not a path"),
        (["--dest", "/proc/nowhere/x-%06d.tar"], 1, "/proc/nowhere cannot hold the shards: "),
        (["--dest", "taken-000003.tar/x"], 1, "taken-000003.tar/x cannot hold the shards: Not a directory"),
        (["--dest", "taken-%06d.tar"], 1, "taken-000003.tar is already there"),
    ],
)
def test_wrong_input(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    status: int,
    message: str,
) -> None:
    """Each ends with its status and a message that names the option or path, the value, and what is allowed."""
    made.classic_train(tmp_path)
    (tmp_path / "taken-000003.tar").touch()
    monkeypatch.chdir(tmp_path)
    returned = main([*words, "--quiet"])
    captured = capsys.readouterr()
    assert status == returned
    assert message in captured.err
    assert "" == captured.out
    assert "Traceback" not in captured.err
    assert not list(tmp_path.glob("imagenet_train*"))


@pytest.mark.parametrize(
    ("words", "near"),
    [
        ("/data", "Name the data set with --root /data."),
        ("~/data", "Name the data set with --root '~/data'."),
        ("'my data'", "Name the data set with --root 'my data'."),
        ("/data /shards", "Name the data set with --root /data, and the destination with --dest /shards."),
        ("--root /data /shards", "Name the destination with --dest /shards."),
        ("convert --root /data", "Leave convert out."),
        ("covnert", "Leave covnert out."),
        ("verfiy /shards", "Did you mean parallel-sharder verify?"),
        ("idnex", "Did you mean parallel-sharder index?"),
        ("--quiet verify /shards", "verify is a command, which comes first: write parallel-sharder verify DEST."),
        ("val", "Name the split with --split val."),
        ("help", "Did you mean parallel-sharder --help?"),
        ("--workrs 3", "Did you mean --workers?"),
        ("--workers=3 --lables=sorted", "there is no option --lables. Did you mean --labels?"),
        ("--work 3", "Did you mean --workers?"),
        ("--max 3", "Did you mean --maxsize or --maxcount?"),
        ("--max-size 3", "Did you mean --maxsize?"),
        ("--on_bad fail", "Did you mean --on-bad?"),
        ("-workers 3", "Did you mean --workers?"),
        ("--num-workers 3", "Did you mean --workers?"),
        ("--output x", "Did you mean --dest?"),
        ("--source x", "Did you mean --root?"),
        ("verfiy x --source y", "Did you mean parallel-sharder verify?"),
        ("indxe x --for dali", "Did you mean parallel-sharder index?"),
        ("check x", "Did you mean parallel-sharder verify?"),
        ("check x --source y --json", "Did you mean parallel-sharder verify?"),
        ("--out x", "Did you mean --dest?"),
        ("--output-dir x", "Did you mean --dest?"),
        ("-o x", "Did you mean --dest?"),
        ("--threads 3", "Did you mean --workers?"),
        ("--jobs=3", "Did you mean --workers?"),
        ("-j 3", "Did you mean --workers?"),
        ("--data x", "Did you mean --root?"),
        ("--input x", "Did you mean --root?"),
        ("--data_dir x", "Did you mean --root?"),
        ("--verify", "Did you mean the command parallel-sharder verify DEST?"),
        ("--resume", "Did you mean the same command without it, which continues?"),
        ("--quiet verify x --source y", "verify is a command, which comes first: write parallel-sharder verify DEST."),
        ("--size 1GB", "Did you mean --maxsize?"),
        ("verify x --data y", "Did you mean --source?"),
        ("verify x --threads 3", "Did you mean --workers?"),
        ("verify --out x", "Did you mean DEST?"),
        ("index x --output y", "Did you mean DEST?"),
        ("verify x --workrs 3", "there is no option --workrs of verify. Did you mean --workers?"),
        ("verify x --root y", "Did you mean --source?"),
        ("verify x y", "y is one word too many: parallel-sharder verify takes one DEST."),
        ("index x --index dali", "Did you mean --for?"),
        ("inspect x y", "y is one word too many: parallel-sharder inspect takes one WHAT."),
        ("inspect --dest y", "Did you mean WHAT?"),
        ("inspect x --maxcount 3", "Did you mean --head?"),
        ("inspect x --head many", "--head: 'many' is not a whole number"),
        ("inspct", "Did you mean parallel-sharder inspect?"),
    ],
)
def test_wrong_words_are_answered_with_the_nearest_right_one(
    capsys: pytest.CaptureFixture[str], words: str, near: str
) -> None:
    """In one line, with status 2."""
    assert 2 == main(shlex.split(words))
    [line] = capsys.readouterr().err.splitlines()
    assert line.endswith(near)


def test_suggested_options_are_taken(capsys: pytest.CaptureFixture[str]) -> None:
    """What is printed for a --dest that is no pattern is one, word for word."""
    assert 2 == main(["--dest", "my shards/foo-{000000..000010}.tar", "--maxsize", "none"])
    said = capsys.readouterr().err
    match = re.search("; write (.*), or name a folder$", said, re.MULTILINE)
    assert match, said
    assert "'my shards/foo-%06d.tar'" == match[1]
    assert 2 == main(["--dest", *shlex.split(match[1]), "--maxsize", "none"])
    assert "--dest" not in capsys.readouterr().err


def test_home_folder(tmp_path: Path) -> None:
    """A ~ that no shell has expanded, as in --root=~/raw, is the home folder for every option that names a path."""
    made.classic_train(tmp_path / "raw", images=5)
    (tmp_path / "raw" / "ILSVRC2012_devkit_t12").rename(tmp_path / "devkit")
    environment = {**ENVIRONMENT, "HOME": str(tmp_path)}
    source = ["--meta=~/devkit/data/meta.mat", "--xml-root=~/raw/train"]
    for words in (
        ["--root=~/raw", "--dest=~/out/x-%06d.tar", *source],
        ["verify", "~/out", "--source=~/raw", *source],
        ["verify", "~/out/x-%06d.tar"],
        ["index", "~/out", "--for", "timm"],
    ):
        done = subprocess.run([*COMMAND, *words], cwd=tmp_path, env=environment, capture_output=True, check=False)
        assert 0 == done.returncode, done.stderr
    assert {"x-000000.tar", "x.json", "_info.json"} <= set(os.listdir(tmp_path / "out"))
    assert not (tmp_path / "~").exists()


def test_help_and_version() -> None:
    """Help shows every option of the table with an example for each common case; the version is the package's."""
    done = run("--help")
    for option in (
        "--root", "--split", "--dest", "--workers", "--maxsize", "--maxcount", "--shards", "--seed", "--no-shuffle",
        "--labels", "--xml-root", "--meta", "--dry-run", "--quiet", "--json", "--version", "--start-method",
    ):  # fmt: skip
        assert option in done.stdout
    assert done.stdout.count("    parallel-sharder ") >= 6
    assert "imagenet_train-%06d.tar" in done.stdout
    for fact in (
        "parallel-sharder verify DEST",
        "parallel-sharder index DEST",
        "130, 143 or 129 stopped by Ctrl-C, SIGTERM or SIGHUP",
        "For samples from Python code use ShardWriter",
    ):
        assert fact in " ".join(done.stdout.split())
    assert f"parallel-sharder {parallel_sharder.__version__}\n" == run("--version").stdout


def test_examples_of_help_are_valid(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every example in the help is a command line that parses and validates, that of an array's task in such a task."""
    from parallel_sharder.cli.parsers import parse

    for name, value in array(ID="3", COUNT="16", MIN="0", MAX="15").items():
        monkeypatch.setenv(name, value)
    examples = re.findall(r"^    parallel-sharder (.*)$", run("--help").stdout + run("verify", "--help").stdout, re.M)
    assert len(examples) >= 8
    for example in examples:
        parse(shlex.split(re.sub(r" >\S+$", "", example)))


@pytest.mark.parametrize("columns", [80, 120])
@pytest.mark.parametrize("command", ["", "verify", "index", "status", "inspect", "report"])
def test_help_fits_the_terminal(command: str, columns: int) -> None:
    """Sentences are filled to its width; commands of examples stay on a line, because they are copied."""
    words = [*COMMAND, *command.split(), "--help"]
    environment = {**os.environ, "COLUMNS": str(columns)}
    done = subprocess.run(words, capture_output=True, text=True, check=True, env=environment)
    lines = done.stdout.splitlines()
    prose = [line for line in lines if not line.startswith("    parallel-sharder ")]
    assert [] == [line for line in prose if len(line) > columns]
    assert max(map(len, prose)) > columns - 30
    assert any(line.startswith("    parallel-sharder ") for line in lines)
