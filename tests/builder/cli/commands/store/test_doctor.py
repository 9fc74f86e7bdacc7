"""``pybuild doctor``: what is said of each rung, and of where the store is."""

import json
from pathlib import Path

import pytest

from pybuild.builder.cli import main as cli
from pybuild.builder.cli.commands.store import doctor
from pybuild.runtime.errors import SandboxUnavailable
from pybuild.runtime.sandbox import privileges
from pybuild.runtime.sandbox.privileges import Rung

_REFUSED = Rung(name="root", works=False, reason="why not", needs="one command")


def _host(monkeypatch: pytest.MonkeyPatch, *rungs: Rung, wanted: str = "auto") -> None:
    monkeypatch.setattr(privileges.Ladder, "rungs", (*rungs, Rung(name="none", works=True)))
    monkeypatch.setenv("PYBUILD_ISOLATION", wanted)


def _told(capsys: pytest.CaptureFixture[str], root: Path, *words: str) -> tuple[int, str]:
    code = cli.run(["--root", str(root), "doctor", *words])
    return code, capsys.readouterr().out


def test_a_host_that_permits_all_has_nothing_to_change(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    _host(monkeypatch, Rung(name="root", works=True), Rung(name="userns", works=True))
    code, text = _told(capsys, tmp_path)
    assert code == 0
    assert "isolation  auto: root\n  root     works\n  userns   works\n" in text
    assert "to have it" not in text
    assert f"store      {tmp_path}\n" in text


def test_each_better_rung_has_one_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    lower = Rung(name="userns", works=True, missing=("proc", "loopback"))
    _host(monkeypatch, _REFUSED, lower)
    code, text = _told(capsys, tmp_path)
    assert code == 0
    assert "  root     does not work: why not\n           to have it: one command\n  userns   works\n" in text
    assert "a new /proc is refused" in text
    assert "the loopback interface of --network=none stays down" in text
    _host(monkeypatch, Rung(name="root", works=True), Rung(name="userns", works=False, reason="no", needs="not said"))
    assert "not said" not in _told(capsys, tmp_path)[1]


@pytest.mark.parametrize(
    ("wanted", "used", "code"), [("auto", "userns", 0), ("strict", None, 3), ("root", None, 3), ("none", "none", 3)]
)
def test_what_is_wanted_decides_what_is_used(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    wanted: str,
    used: str | None,
    code: int,
) -> None:
    _host(monkeypatch, _REFUSED, Rung(name="userns", works=True, missing=("root",)), wanted=wanted)
    ended, text = _told(capsys, tmp_path, "--format=json")
    found = json.loads(text)
    assert (ended, found["isolation"]) == (code, {"wanted": wanted, "used": used})
    assert found["rungs"][0] == {
        "name": "root",
        "works": False,
        "without": [],
        "reason": "why not",
        "needs": "one command",
    }


def test_a_store_that_must_copy_everything_is_to_be_put_elsewhere(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    _host(monkeypatch, Rung(name="root", works=True))
    monkeypatch.setattr(doctor, "_is_overlay", lambda _: True)
    monkeypatch.setattr(doctor, "hierarchies", tuple)
    _, text = _told(capsys, tmp_path / "not/there")
    assert "every snapshot is a full copy\n           to change it: docker run -v pybuild:/store" in text
    assert "limits     none\n           --memory and other limits are not enforced" in text


@pytest.mark.parametrize(
    ("reason", "command"),
    [
        ("neither pasta nor slirp4netns is installed", "apt-get install passt"),
        ("pasta: Failed to open() /dev/net/tun: Permission denied", "chmod 666 /dev/net/tun"),
        ("pasta: no route", ""),
    ],
)
def test_a_private_network_is_tried_and_what_it_needs_is_one_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, reason: str, command: str
) -> None:
    def take() -> None:
        raise SandboxUnavailable(f"no private network: {reason}", "a hint", command)

    _host(monkeypatch, Rung(name="root", works=True))
    monkeypatch.setattr(doctor, "take", take)
    _, text = _told(capsys, tmp_path)
    assert (
        f"private does not work\n           {reason}\n           to change it: {command or '--network=host'}\n" in text
    )
    _, text = _told(capsys, tmp_path, "--format=json")
    assert json.loads(text)["network"] == {"private": "", "reason": reason, "needs": command or "--network=host"}
