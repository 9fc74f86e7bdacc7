import os
from pathlib import Path

from pybuild.builder.prune.usage import disk_usage


def test_a_file_with_several_names_counts_once(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "one").write_bytes(b"x" * 100_000)
    before = disk_usage(tmp_path)
    os.link(tmp_path / "one", tmp_path / "sub/two")
    assert disk_usage(tmp_path) == before >= 100_000
