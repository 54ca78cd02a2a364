"""The cluster of Ray, as far as it can be tried without Ray: addresses. The rest is in tests/cluster."""

from __future__ import annotations

import socket

import pytest

from parallel_sharder.engines import open_cluster
from parallel_sharder.engines.ray import _from_environment, _knock
from parallel_sharder.errors import MissingPackageError, WorkerError


def test_address_where_nobody_listens() -> None:
    """It is named, with the cause, before Ray is asked, which would try for minutes."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        _knock(f"127.0.0.1:{port}", "Mend it.")
        _knock(f"ray://127.0.0.1:{port}", "Mend it.")
    with pytest.raises(WorkerError, match=rf"^the Ray cluster 127.0.0.1:{port} cannot be reached: Connection refused"):
        _knock(f"127.0.0.1:{port}", "Mend it.")
    with pytest.raises(WorkerError, match="the Ray cluster nowhere has no port. Mend it."):
        _knock("nowhere", "Mend it.")


@pytest.mark.parametrize(("name", "package"), [("ray", "ray"), ("dask", "distributed")])
def test_missing_package(monkeypatch: pytest.MonkeyPatch, name: str, package: str) -> None:
    """The command that installs it is named, and no other engine takes its place."""
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(MissingPackageError) as caught:
        open_cluster(name, "", None, 1)
    install = f"pip install 'parallel_sharder[{name}]', or, in a clone of it, pip install '.[{name}]'"
    expected = f"the engine {name} needs the package {package}: {install}"
    assert expected == str(caught.value)


@pytest.mark.parametrize(
    ("variable", "address"), [("autumn:6379", "autumn:6379"), ("auto", ""), ("", ""), ("ray://head:1", "ray://head:1")]
)
def test_address_in_the_environment(monkeypatch: pytest.MonkeyPatch, variable: str, address: str) -> None:
    """RAY_ADDRESS is taken as it is; "auto" means a cluster on this host."""
    monkeypatch.setenv("RAY_ADDRESS", variable)
    assert address == _from_environment()
