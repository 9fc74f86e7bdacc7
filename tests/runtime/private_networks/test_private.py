import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from pybuild.runtime.errors import SandboxUnavailable
from pybuild.runtime.private_networks import pool, private
from tests.helpers.leftovers import wait_until_no_process

_WITHOUT_A_ROUTE = """
import time
from pathlib import Path
from pybuild.runtime.private_networks import private

network = private.begin()
while not Path("started").exists():
    time.sleep(0.01)
network.close()
"""


def children() -> set[str]:
    """Return the processes that this one has started and not waited for; those of other tests may be among them."""
    return set(Path(f"/proc/self/task/{os.getpid()}/children").read_text().split())


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What is taken for pasta."""
    place = tmp_path / "bin"
    place.mkdir()
    monkeypatch.setenv("PATH", f"{place}:/usr/bin:/bin")
    monkeypatch.setattr(private, "is_root", lambda: False)
    (place / "pasta").write_text("#!/bin/sh\n")
    (place / "pasta").chmod(0o755)
    return place / "pasta"


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("echo 'no tap device: /dev/net/tun' >&2; exit 1", "pasta: no tap device: /dev/net/tun"),
        ("echo 'Failed to send to syslog' >&2; exit 0", "pasta: it ended without a word"),
        ("kill -9 $$", "pasta: it ended without a word"),
    ],
)
def test_a_program_that_fails_says_why(program: Path, script: str, reason: str) -> None:
    before = children()
    program.write_text(f"#!/bin/sh\n{script}\n")
    with pytest.raises(SandboxUnavailable, match=reason) as caught:
        pool.take()
    assert ("chmod 666 /dev/net/tun" if "tun" in reason else "--network=host") in caught.value.hint
    assert children() <= before


def test_what_was_started_ahead_is_taken_once_and_dropped(program: Path) -> None:
    before = children()
    program.write_text("#!/bin/sh\nexit 1\n")
    pool.start_ahead()
    assert "it ended without a word" in pool.await_ahead()
    pool.start_ahead()
    pool.drop_ahead()
    pool.drop_ahead()
    assert children() <= before


def test_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(private, "_TUN", os.fspath(tmp_path / "tun"))
    monkeypatch.setattr(private, "carrier", lambda *_: object())
    assert private.missing() == f"there is no {tmp_path}/tun"
    (tmp_path / "tun").touch()
    assert private.missing() == ""
    monkeypatch.setattr(private, "carrier", lambda *_: None)
    assert private.missing() == "neither pasta nor slirp4netns is installed"
    pool.start_ahead()
    with pytest.raises(SandboxUnavailable, match="neither pasta nor slirp4netns"):
        pool.take()


def test_nothing_outlives_a_holder_that_may_not_signal_its_children() -> None:
    """Its children are of another user, so their death signals need CAP_KILL, which root of a container may lack."""
    with tempfile.TemporaryDirectory(prefix="private-network-") as name:
        place = Path(name)
        place.chmod(0o777)  # the program is executed by another user
        (place / "pasta").write_text(f"#!/bin/sh\n: > {place}/started\nexec sleep 1000\n")
        (place / "pasta").chmod(0o755)
        words = ["setpriv", "--bounding-set=-kill", sys.executable, "-c", _WITHOUT_A_ROUTE]
        subprocess.run(words, cwd=place, env={**os.environ, "PATH": f"{place}:/usr/bin:/bin"}, check=True, timeout=60)
        assert wait_until_no_process(name) == []
