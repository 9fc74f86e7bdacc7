import json
import os
from pathlib import Path

import pytest

from pybuild.runtime.monitor.state import StateFile, as_json
from tests.helpers.disks import fill, small_disk
from tests.helpers.hosts import need_root


@pytest.mark.parametrize(
    "value", ["", 'a"\\\n\x00é', 0, -5, True, False, None, [], {}, {"a": [1, {"b": None}], "c": "\udc80"}]
)
def test_json_reads_what_is_written(value: object) -> None:
    assert json.loads(as_json(value)) == value


def test_a_state_replaces_the_last_one(tmp_path: Path) -> None:
    directory = os.open(tmp_path, os.O_RDONLY)
    state = StateFile("then")
    for code in (1, 2):
        state.exit_code = code
        state.write(directory, sync=code == 2)
    os.close(directory)
    assert json.loads((tmp_path / "state.json").read_text())["ExitCode"] == 2
    assert [path.name for path in tmp_path.iterdir()] == ["state.json"]


def test_on_a_full_disk_the_state_is_overwritten(tmp_path: Path) -> None:
    need_root()
    with small_disk(tmp_path / "disk", "64k") as disk:
        directory = os.open(disk, os.O_RDONLY)
        state = StateFile("then")
        state.error = "a long text that a shorter one replaces"
        state.write(directory, sync=True)
        fill(disk)
        state.exit_code, state.error = 5, ""
        state.write(directory, sync=True)
        os.close(directory)
        found = json.loads((disk / "state.json").read_text())
    assert (found["ExitCode"], found["Error"]) == (5, "")


def test_without_an_old_state_a_full_disk_is_an_error(tmp_path: Path) -> None:
    need_root()
    with small_disk(tmp_path / "disk", "64k") as disk:
        directory = os.open(disk, os.O_RDONLY)
        fill(disk)
        with pytest.raises(OSError, match="No space left on device"):
            StateFile("then").write(directory, sync=True)
        os.close(directory)
