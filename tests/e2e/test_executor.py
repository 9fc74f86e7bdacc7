"""Builds by those who come from Kaniko: its flags, also under its name."""

import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

from tests.helpers.contexts import write_context
from tests.helpers.program import Program

FILES = {"app/Dockerfile": "FROM small\nARG who\nCOPY a /a\nRUN echo $who > /who\n", "app/a": "a"}


def test_an_image_is_written_with_its_digest(program: Program, tmp_path: Path) -> None:
    write_context(tmp_path / "context", FILES)
    program.run(
        *("executor", "--no-push", "-d", "team/app:1", f"--context=dir://{tmp_path}/context", "--context-sub-path=app"),
        *("--build-arg=who=me", f"--tar-path={tmp_path}/image.tar", f"--oci-layout-path={tmp_path}/layout"),
        *(f"--digest-file={tmp_path}/digest", "--single-snapshot", "--reproducible", "--snapshot-mode=full"),
    )
    index = json.loads((tmp_path / "layout/index.json").read_text())
    assert index["manifests"][0]["digest"] == (tmp_path / "digest").read_text()
    with tarfile.open(tmp_path / "image.tar") as archive:
        described = json.load(archive.extractfile("manifest.json"))  # type: ignore[arg-type]
    assert described[0]["RepoTags"] == ["team/app:1"]
    assert len(described[0]["Layers"]) == 2
    assert program.run("run", "team/app:1", "cat", "/who").stdout == "me\n"


def test_a_tar_archive_comes_on_standard_input_under_the_name_of_kanikos_program(
    program: Program, tmp_path: Path
) -> None:
    write_context(tmp_path / "context", FILES)
    subprocess.run(["tar", "-C", tmp_path / "context/app", "-czf", tmp_path / "context.tgz", "."], check=True)
    (tmp_path / "executor").symlink_to(Path(sys.prefix) / "bin/pybuild")
    with (tmp_path / "context.tgz").open() as stdin:
        done = subprocess.run(
            [tmp_path / "executor", "--context=tar://stdin", "-d=team/app:2", "--no-push"],
            env={**os.environ, **program.environment},
            stdin=stdin,
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    assert program.run("run", "team/app:2", "cat", "/a").stdout == "a"
    version = subprocess.run([tmp_path / "executor", "version"], check=True, capture_output=True, text=True)
    assert "pybuild" in version.stdout
