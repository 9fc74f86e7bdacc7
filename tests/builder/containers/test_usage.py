"""What control groups say of a container, in both versions of them."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pybuild.builder.containers import usage as module
from pybuild.builder.containers.usage import Usage, usage


def seen(monkeypatch: pytest.MonkeyPatch, groups: tuple[Path, ...], *, runs: bool = True) -> Usage | None:
    monkeypatch.setattr(module, "group_directories", lambda _id, _parent: groups)
    monkeypatch.setattr(module, "groups_parent", lambda _container: "/pybuild")
    fake: Any = SimpleNamespace(id="1" * 64, state=SimpleNamespace(runs=runs))
    return usage(fake)


def written(directory: Path, files: dict[str, str]) -> Path:
    directory.mkdir()
    for name, text in files.items():
        (directory / name).write_text(text)
    return directory


def test_version_two_has_one_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {
        "cpu.stat": "usage_usec 12\nuser_usec 5\n",
        "memory.current": "1000\n",
        "memory.stat": "anon 1\ninactive_file 300\n",
        "memory.max": "4096\n",
        "pids.current": "3\n",
        "io.stat": "8:0 rbytes=10 wbytes=20 rios=1\n8:16 rbytes=1 wbytes=2\n",
    }
    found = seen(monkeypatch, (written(tmp_path / "one", files),))
    assert found == Usage(cpu=12_000, memory=700, limit=4096, processes=1, read=11, written=22)


def test_version_one_has_a_group_for_each_controller(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    groups = (
        written(tmp_path / "cpu", {"cpuacct.usage": "12345\n"}),
        written(
            tmp_path / "memory",
            {
                "memory.usage_in_bytes": "1000\n",
                "memory.stat": "inactive_file 1\ntotal_inactive_file 400\n",
                "memory.limit_in_bytes": "4096\n",
            },
        ),
        written(
            tmp_path / "blkio",
            {"blkio.throttle.io_service_bytes": "8:0 Read 10\n8:0 Write 20\n8:0 Total 30\nTotal 30\n"},
        ),
    )
    assert seen(monkeypatch, groups) == Usage(cpu=12345, memory=600, limit=4096, processes=0, read=10, written=20)


@pytest.mark.parametrize("text", ["max\n", "9223372036854771712\n", "0\n"])
def test_without_a_limit_it_is_the_memory_of_the_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setattr(module, "_host_memory", lambda: 77)
    found = seen(monkeypatch, (written(tmp_path / "one", {"memory.max": text}),))
    assert found is not None
    assert found.limit == 77


def test_memory_that_shrinks_while_it_is_read_is_not_negative(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {"memory.current": "10\n", "memory.stat": "inactive_file 300\n"}
    found = seen(monkeypatch, (written(tmp_path / "one", files),))
    assert found is not None
    assert found.memory == 0


def test_a_container_that_does_not_run_or_has_no_group_has_no_usage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert seen(monkeypatch, ()) is None
    assert seen(monkeypatch, (written(tmp_path / "one", {}),), runs=False) is None
