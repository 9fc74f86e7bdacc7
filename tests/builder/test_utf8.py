"""UTF-8 for names under every locale."""

import os
import subprocess
import sys
from io import BytesIO, TextIOWrapper

import pytest

from pybuild.builder import utf8
from pybuild.builder.errors import RequestError


def test_another_encoding_of_names_is_refused_with_the_way_to_change_it(monkeypatch: pytest.MonkeyPatch) -> None:
    utf8.need_utf8()
    monkeypatch.setattr(sys, "getfilesystemencoding", lambda: "iso8859-1")
    with pytest.raises(RequestError, match="encodes file names as iso8859-1") as caught:
        utf8.need_utf8()
    assert "PYTHONUTF8=1" in caught.value.hint


def test_the_command_is_started_again_with_the_same_bytes() -> None:
    code = (
        "import sys\n"
        "from pybuild.builder import utf8\n"
        "if sys.flags.utf8_mode: print(sys.argv[1:]); raise SystemExit\n"
        "utf8.start_again()\n"
    )
    environment = {**os.environ, "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "LC_ALL": "C.UTF-8"}
    environment.pop("PYTHONWARNINGS", None)
    done = subprocess.run(
        [sys.executable, "-c", code, "\u00e9", b"\xff", "-x"],
        env=environment,
        capture_output=True,
        check=True,
        timeout=60,
    )
    assert done.stdout.decode() == "['\u00e9', '\\udcff', '-x']\n"


def test_without_a_known_interpreter_nothing_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "")
    utf8.start_again()


def test_a_stream_follows_the_locale(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("locale.getencoding", lambda: "ascii")
    raw = BytesIO()
    stream = TextIOWrapper(raw, encoding="utf-8")
    utf8.follow_the_locale(stream)
    stream.write("\u00e9")
    stream.flush()
    assert raw.getvalue() == b"\\xe9"
