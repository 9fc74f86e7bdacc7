import subprocess
import sys
from pathlib import Path

import pytest

from pybuild.builder.cli.fast_path.common import KnownFlags, found_container, own_root, read
from pybuild.builder.cli.tools import Tools, begin

KNOWN = KnownFlags(
    ones={"-u": "user", "--user": "user"},
    many={"-e": "env", "--env": "env"},
    switches={"-i": "in", "-t": "tty", "--tty": "tty"},
)


@pytest.mark.parametrize(
    ("line", "values", "words"),
    [
        ("-it -u me c ls -l", {"in": ["in"], "tty": ["tty"], "user": ["me"]}, ["c", "ls", "-l"]),
        ("--env A=1 --env=B=2 -e C c sh -c x", {"env": ["A=1", "B=2", "C"]}, ["c", "sh", "-c", "x"]),
        ("--tty --user=me c", {"tty": ["tty"], "user": ["me"]}, ["c"]),
        ("-tiu me c", {"in": ["in"], "tty": ["tty"], "user": ["me"]}, ["c"]),
        ("-te A=1 -ie B c", {"in": ["in"], "tty": ["tty"], "env": ["A=1", "B"]}, ["c"]),
        ("", {}, []),
    ],
)
def test_what_is_known_is_read(line: str, values: dict[str, list[str]], words: list[str]) -> None:
    given = read(line.split(), KNOWN)
    assert given is not None
    assert (dict(given.values), list(given.words)) == (values, words)


@pytest.mark.parametrize(
    "line",
    [
        "-x c",
        "-ix c",
        "-ui c",
        "-iu",
        "-xu me c",
        "-t=iu me c",
        "-u",
        "-u=me c",
        "-ume c",
        "--user= c",
        "-u me -u you c",
        "-u -i c",
        "-- c",
        "- c",
        "--tty=true c",
    ],
)
def test_what_may_be_a_mistake_is_left_to_click(line: str) -> None:
    assert read(line.split(), KNOWN) is None


def test_flags_may_follow_where_the_command_has_them_anywhere() -> None:
    anywhere = KnownFlags(switches=KNOWN.switches, ones=KNOWN.ones, interspersed=True)
    given = read(["one", "-t", "two", "-u", "me"], anywhere)
    assert given is not None
    assert (given.words, given.has("tty"), given.one("user"), given.one("env")) == (["one", "two"], True, "me", None)


def test_a_store_of_others_is_left_to_who_refuses_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begin(Tools()).root = str(tmp_path)
    monkeypatch.delenv("PYBUILD_ISOLATION", raising=False)
    tmp_path.chmod(0o700)
    assert own_root() == tmp_path
    monkeypatch.setattr("os.geteuid", lambda: tmp_path.stat().st_uid + 1)
    assert own_root() is None
    monkeypatch.undo()
    tmp_path.chmod(0o755)
    assert own_root() is None
    tmp_path.chmod(0o700)
    assert found_container("nosuch") is None
    monkeypatch.setenv("PYBUILD_ISOLATION", "userns")
    assert own_root() is None


@pytest.mark.parametrize("name", ["exec", "inspect", "logs", "ps"])
def test_the_usual_commands_load_neither_click_nor_what_a_store_needs(name: str) -> None:
    heavy = {
        "click",
        "sqlite3",
        "subprocess",
        "inspect",
        "pybuild.builder.store.store",
        "pybuild.runtime.snapshots.disk",
    }
    program = f"import sys, pybuild.builder.cli.fast_path.{name}; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
