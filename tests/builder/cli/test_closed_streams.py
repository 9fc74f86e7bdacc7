import os
import subprocess
import sys
from pathlib import Path

import pytest


def run(redirections: str, store: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = ["sh", "-c", f'exec "$0" -m pybuild "$@" {redirections}', sys.executable, "--root", os.fspath(store)]
    return subprocess.run([*command, *words], capture_output=True, text=True, check=False, timeout=120)


@pytest.mark.parametrize("redirections", ["2>&-", ">&-", "<&-", "<&- >&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_a_stream_that_the_caller_closed_is_no_failure(tmp_path: Path, redirections: str) -> None:
    (tmp_path / "Dockerfile").write_text("FROM scratch\nCOPY Dockerfile /\n")
    build = run(redirections, tmp_path / "store", "build", "-t", "one", os.fspath(tmp_path))
    assert build.returncode == 0, build.stderr
    listed = run("<&-", tmp_path / "store", "images", "-q")
    assert (listed.returncode, len(listed.stdout.splitlines())) == (0, 1)


def test_a_failure_with_nobody_to_tell_keeps_its_exit_code(tmp_path: Path) -> None:
    assert run("2>&-", tmp_path / "store", "history", "nothing").returncode == 1
