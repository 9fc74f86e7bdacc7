"""Root file systems of several platforms as one directory or one tar archive."""

import os
import tarfile
from pathlib import Path

import pytest

from tests.helpers.contexts import write_context
from tests.helpers.program import Program

TEXT = """
FROM scratch
ARG TARGETARCH
COPY bin-$TARGETARCH /bin/
COPY --chmod=4755 same /doc/
"""
APART = "FROM scratch\nARG TARGETARCH\nCOPY bin-$TARGETARCH /bin/\n"
BOTH = "--platform=linux/amd64,linux/arm/v7"


@pytest.fixture
def context(tmp_path: Path) -> Path:
    files = {"Dockerfile": TEXT, "apart/Dockerfile": APART, "same/s": "s"}
    binaries = {f"bin-{name}/tool-{name}": name for name in ("amd64", "arm")}
    return write_context(tmp_path / "context", {**files, **binaries})


def paths(directory: Path) -> list[str]:
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*") if not path.is_dir())


def test_each_platform_has_a_directory_of_its_own(program: Program, context: Path, tmp_path: Path) -> None:
    dest, archive = tmp_path / "dest", tmp_path / "both.tar"
    program.build(context, BOTH, "-o", str(dest), "-o", f"type=tar,dest={archive}")
    wanted = ["linux_amd64/bin/tool-amd64", "linux_amd64/doc/s", "linux_arm_v7/bin/tool-arm", "linux_arm_v7/doc/s"]
    assert paths(dest) == wanted
    with tarfile.open(archive) as tar:
        assert sorted(entry.name for entry in tar if entry.isfile()) == wanted
        assert tar.getmember("linux_amd64").mode == 0o755
    assert (dest / "linux_amd64").stat().st_mode & 0o7777 == 0o755
    assert (dest / "linux_amd64/doc/s").stat().st_mode & 0o7000 == 0


def test_one_platform_has_a_directory_when_asked_for(program: Program, context: Path, tmp_path: Path) -> None:
    program.build(context, "-o", f"type=local,dest={tmp_path / 'a'},platform-split=true")
    program.build(context, "-o", f"type=local,dest={tmp_path / 'b'}")
    assert paths(tmp_path / "a") == ["linux_amd64/bin/tool-amd64", "linux_amd64/doc/s"]
    assert paths(tmp_path / "b") == ["bin/tool-amd64", "doc/s"]


def test_without_directories_platforms_are_merged(program: Program, context: Path, tmp_path: Path) -> None:
    dest, archive = tmp_path / "dest", tmp_path / "both.tar"
    file = ("-f", str(context / "apart" / "Dockerfile"))
    outputs = (f"type=local,dest={dest},platform-split=false", f"type=tar,dest={archive},platform-split=false")
    program.build(context, BOTH, *file, "-o", outputs[0], "-o", outputs[1])
    assert paths(dest) == ["bin/tool-amd64", "bin/tool-arm"]
    with tarfile.open(archive) as tar:
        assert sorted(tar.getnames()) == ["bin", "bin/tool-amd64", "bin/tool-arm"]


@pytest.mark.parametrize("kind", ["local", "tar"])
def test_a_file_of_two_platforms_is_refused_before_anything_is_written(
    program: Program, context: Path, tmp_path: Path, kind: str
) -> None:
    dest = tmp_path / "dest"
    done = program.build(context, BOTH, "-o", f"type={kind},dest={dest},platform-split=false", check=False)
    assert done.exit_code == 2
    wanted = "cannot overwrite doc/s from linux/amd64 with linux/arm/v7 when split option is disabled"
    assert wanted in done.printed
    assert not dest.exists()


def test_a_link_in_the_place_of_a_platform_is_replaced_and_not_followed(
    program: Program, context: Path, tmp_path: Path
) -> None:
    victim, dest = tmp_path / "victim", tmp_path / "dest"
    victim.mkdir()
    dest.mkdir()
    (dest / "linux_amd64").symlink_to(victim)
    (dest / "linux_arm_v7" / "bin").mkdir(parents=True)
    (dest / "linux_arm_v7" / "bin" / "tool-arm").symlink_to(victim / "file")
    program.build(context, BOTH, "-o", str(dest))
    assert os.listdir(victim) == []
    assert (dest / "linux_amd64/bin/tool-amd64").read_text() == "amd64"
    assert (dest / "linux_arm_v7/bin/tool-arm").read_text() == "arm"


def test_an_archive_for_docker_holds_one_platform(program: Program, context: Path, tmp_path: Path) -> None:
    done = program.build(context, BOTH, "-o", f"type=docker,dest={tmp_path / 'x'}", check=False)
    assert done.exit_code == 2
    assert "docker exporter does not currently support exporting manifest lists" in done.printed


def test_mode_delete_leaves_nothing_else_in_the_directory(program: Program, context: Path, tmp_path: Path) -> None:
    dest = tmp_path / "dest"
    (dest / "old").mkdir(parents=True)
    (dest / "old" / "file").write_text("old")
    program.build(context, "-o", f"type=local,dest={dest},mode=delete")
    assert paths(dest) == ["bin/tool-amd64", "doc/s"]
    assert sorted(os.listdir(dest)) == ["bin", "doc"]
    done = program.build(context, "-o", f"type=local,dest={context.parent},mode=delete", check=False)
    assert (done.exit_code, (context / "Dockerfile").exists()) == (2, True)
