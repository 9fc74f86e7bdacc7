"""What a program cancels ends while a server is silent, whatever it was asked for."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

import pybuild
from pybuild import errors
from pybuild.request import RegistryCache
from tests.helpers.silent import Silent

Operation = Callable[[str, Path, pybuild.Store, pybuild.Cancel], object]


def pull(name: str, _context: Path, store: pybuild.Store, cancel: pybuild.Cancel) -> None:
    pybuild.pull(f"{name}/app:1", store, cancel=cancel)


def build_on_it(name: str, context: Path, store: pybuild.Store, cancel: pybuild.Cancel) -> None:
    (context / "Dockerfile").write_text(f"FROM {name}/app:1\n")
    pybuild.build(pybuild.Request.of(context=context), store, cancel=cancel)


def add_two_files(name: str, context: Path, store: pybuild.Store, cancel: pybuild.Cancel) -> None:
    (context / "Dockerfile").write_text(f"FROM scratch\nADD http://{name}/a http://{name}/b /\n")
    pybuild.build(pybuild.Request.of(context=context), store, cancel=cancel)


def import_its_cache(name: str, context: Path, store: pybuild.Store, cancel: pybuild.Cancel) -> None:
    (context / "Dockerfile").write_text("FROM scratch\nCOPY Dockerfile /\n")
    request = pybuild.Request.of(context=context, cache_from=(RegistryCache(ref=f"{name}/cache"),))
    pybuild.build(request, store, cancel=cancel)


@pytest.mark.parametrize("operation", [pull, build_on_it, add_two_files, import_its_cache])
def test_a_silent_server_does_not_hold_what_is_cancelled(operation: Operation, tmp_path: Path) -> None:
    cancel, context = pybuild.Cancel(), tmp_path / "context"
    context.mkdir()
    with Silent() as server, pybuild.Store.open(tmp_path / "store") as store:
        other = threading.Thread(target=lambda: server.heard.wait() and cancel.cancel())
        other.start()
        try:
            with pytest.raises(errors.Cancelled):
                operation(server.name, context, store, cancel)
        finally:
            server.heard.set()
            other.join()
        assert not server.gave_up.is_set()


def test_a_silent_server_does_not_outlast_the_time_of_a_build(tmp_path: Path) -> None:
    (tmp_path / "context").mkdir()
    with Silent() as server, pybuild.Store.open(tmp_path / "store") as store:
        (tmp_path / "context" / "Dockerfile").write_text(f"FROM scratch\nADD http://{server.name}/a /\n")
        with pytest.raises(errors.TimedOut):
            pybuild.build(pybuild.Request.of(context=tmp_path / "context", timeout=2), store)
        assert not server.gave_up.is_set()
