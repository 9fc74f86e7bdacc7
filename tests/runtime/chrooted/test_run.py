import os
from pathlib import Path

import pytest

from pybuild.runtime.chrooted.run import OpenedFiles


def test_the_first_file_that_was_opened_is_told(tmp_path: Path) -> None:
    paths = [os.fsencode(tmp_path / name) for name in ("a", "b")]
    for name in ("a", "b"):
        (tmp_path / name).touch()
    with OpenedFiles(paths) as files:
        os.close(os.open(paths[0], os.O_PATH))
        assert (os.stat(paths[0]).st_size, files.first()) == (0, None)
        (tmp_path / "b").rename(tmp_path / "c")
        os.unlink(paths[0])
        (tmp_path / "c").read_bytes()
        assert files.first() == paths[1]


def test_a_file_that_is_missing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        OpenedFiles([os.fsencode(tmp_path / "missing")])
