"""An ordinary user's program: refused where it would go wrong later, and with the store of its own."""

import asyncio
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import pybuild
from pybuild import errors
from pybuild.runtime.sandbox import user_namespace


@pytest.fixture
def ordinary(monkeypatch: pytest.MonkeyPatch) -> None:
    """An ordinary user whose programs and ids are there."""
    monkeypatch.setattr(os, "geteuid", lambda: 4242)
    monkeypatch.setattr(user_namespace, "_command", lambda *_: ["true"])
    # Nothing may come as far as this.
    monkeypatch.setattr(os, "fork", lambda: pytest.fail("it forked"))


@pytest.mark.usefixtures("ordinary")
def test_a_program_with_another_thread_is_refused() -> None:
    go = threading.Event()
    other = threading.Thread(target=go.wait)
    other.start()
    try:
        with pytest.raises(errors.SandboxUnavailable, match="several threads") as caught:
            pybuild.become_root()
    finally:
        go.set()
        other.join()
    assert "start of the program" in caught.value.hint


@pytest.mark.usefixtures("ordinary")
def test_a_program_with_an_event_loop_is_refused() -> None:
    async def main() -> None:
        pybuild.become_root()

    with pytest.raises(errors.SandboxUnavailable, match="event loop"):
        asyncio.run(main())


def test_root_stays_what_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.delenv("PYBUILD_ROOT", raising=False)
    pybuild.become_root()
    assert "PYBUILD_ROOT" not in os.environ


def test_the_store_of_a_user_stays_its_own(tmp_path: Path) -> None:
    # In a process of its own: the environment changes for good.
    script = (
        "import os, pybuild; from pybuild.runtime.sandbox import user_namespace\n"
        "os.geteuid = lambda: 4242; user_namespace.become_root = lambda: setattr(os, 'geteuid', lambda: 0)\n"
        "pybuild.become_root(); store = pybuild.Store.open(); print(store.root); store.close()"
    )
    environment = {key: value for key, value in os.environ.items() if key != "PYBUILD_ROOT"}
    environment["XDG_DATA_HOME"] = os.fspath(tmp_path)
    command = [sys.executable, "-c", script]
    ended = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert ended.stdout == f"{tmp_path / 'pybuild'}\n"
