import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pybuild.runtime.paths.filelock import MARK, sweep, sweep_marked
from pybuild.runtime.paths.scratch import scratch, temporary
from tests.helpers.hosts import need_root


def test_a_tree_of_any_depth_is_gone_afterwards(tmp_path: Path) -> None:
    with scratch("x-", tmp_path) as place:
        fd = os.open(place, os.O_RDONLY)
        for _ in range(3000):
            os.mkdir("d", dir_fd=fd)
            inner = os.open("d", os.O_RDONLY, dir_fd=fd)
            os.close(fd)
            fd = inner
        os.close(fd)

    assert list(tmp_path.iterdir()) == []


def test_it_goes_after_an_error_too_and_is_swept_by_nobody_meanwhile(tmp_path: Path) -> None:
    def fail() -> None:
        with scratch("x-", tmp_path) as place:
            assert sweep(tmp_path, "x-") == []
            assert place.stat().st_mode & 0o777 == 0o700
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert list(tmp_path.iterdir()) == []


_HOLDER = """
from pybuild.runtime.paths.scratch import temporary
with temporary() as place:
    (place / "f").touch()
    print(place, flush=True)
    input()
"""


def test_a_temporary_directory_of_a_killed_process_is_swept_and_no_earlier(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _HOLDER]
    environment = os.environ | {"TMPDIR": os.fspath(tmp_path)}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdout is not None
        place = Path(process.stdout.readline().strip())
        assert sweep_marked(tmp_path, "pybuild-") == []
        assert (place / "f").exists()
        process.send_signal(signal.SIGKILL)
    assert sweep_marked(tmp_path, "pybuild-") == [place.parent.name]
    assert list(tmp_path.iterdir()) == []


def test_it_is_empty_and_gone_afterwards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", os.fspath(tmp_path))
    with temporary() as place:
        assert list(place.iterdir()) == []
    assert list(tmp_path.iterdir()) == []


def marked(place: Path) -> Path:
    place.mkdir()
    (place / MARK).touch()
    return place


def test_what_others_have_in_the_same_place_is_never_swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pybuild-own" / "work").mkdir(parents=True)
    (tmp_path / "pybuild-file").touch()
    (tmp_path / "pybuild-link").symlink_to(marked(tmp_path / "elsewhere"))
    (tmp_path / "pybuild-mark").mkdir()
    (tmp_path / "pybuild-mark" / MARK).symlink_to("/")
    before = sorted(tmp_path.rglob("*"))
    assert sweep_marked(tmp_path, "pybuild-") == []
    marked(tmp_path / "pybuild-theirs")
    with monkeypatch.context() as patch:
        patch.setattr("os.geteuid", lambda: 4_000_000_000)
        assert sweep_marked(tmp_path, "pybuild-") == []
    assert sweep_marked(tmp_path, "pybuild-") == ["pybuild-theirs"]
    assert sorted(tmp_path.rglob("*")) == before


def test_a_directory_that_another_user_has_marked_is_not_swept(tmp_path: Path) -> None:
    need_root()
    os.chown(marked(tmp_path / "pybuild-planted") / MARK, 1, 1)
    assert sweep_marked(tmp_path, "pybuild-") == []


@pytest.mark.parametrize(("mode", "swept"), [(0o777, []), (0o1777, ["pybuild-a"]), (0o755, ["pybuild-a"])])
def test_nothing_is_swept_where_others_may_exchange_it(tmp_path: Path, mode: int, swept: list[str]) -> None:
    marked(tmp_path / "pybuild-a")
    tmp_path.chmod(mode)
    assert sweep_marked(tmp_path, "pybuild-") == swept


def test_no_place_is_no_error(tmp_path: Path) -> None:
    assert sweep_marked(tmp_path / "missing", "pybuild-") == []
