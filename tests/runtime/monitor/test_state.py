import json
import os
from pathlib import Path

import pytest

from pybuild.runtime.monitor.state import StateFile, as_json


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
