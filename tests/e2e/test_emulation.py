"""Steps for another platform that really run: Debian's QEMU, a base of Debian's busybox for arm64."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.bases import small_arm64
from tests.helpers.contexts import write_context
from tests.helpers.emulator import registered
from tests.helpers.hosts import need_emulator, need_programs
from tests.helpers.program import Program, build_arguments, built

pytestmark = pytest.mark.xdist_group("emulator")

BOTH = "--platform=linux/amd64,linux/arm64"
CROSS = """
FROM --platform=$BUILDPLATFORM small AS compile
ARG TARGETARCH BUILDARCH
RUN printf '#!/bin/sh\\necho made on %s for %s by %s\\n' "$BUILDARCH" "$TARGETARCH" "$(uname -m)" > /program && chmod 755 /program
FROM bases
COPY --from=compile /program /bin/program
CMD ["program"]
"""
EMULATED = """
FROM bases
ARG TARGETPLATFORM
RUN uname -m > /machine && echo "$TARGETPLATFORM" > /platform
USER alice
RUN id -u > /tmp/user
COPY --from=bases /etc/motd /copied
RUN --mount=type=cache,target=/cache --mount=type=tmpfs,target=/scratch test -d /cache && test -d /scratch && busybox true
CMD ["cat", "/machine", "/platform", "/tmp/user"]
"""


@pytest.fixture(autouse=True)
def _with_an_emulator() -> Iterator[None]:
    need_emulator()
    need_programs(["mmdebstrap"])
    with registered():
        yield


@pytest.fixture
def bases(program: Program, tmp_path: Path) -> Program:
    """A store in which ``bases`` is an index of the small base for both platforms."""
    program.run("import", "--platform=linux/arm64", os.fspath(small_arm64()), "small-arm64")
    program.run("tag", "small", "small-amd64")
    context = write_context(tmp_path / "bases", {"Dockerfile": "FROM small-$TARGETARCH\n"})
    program.build(context, BOTH, tag="bases")
    return program


def ran(program: Program, architecture: str) -> list[str]:
    return program.run("run", f"--platform=linux/{architecture}", "built").stdout.splitlines()


def test_a_stage_of_the_build_platform_makes_natively_what_each_image_gets(bases: Program, tmp_path: Path) -> None:
    context = write_context(tmp_path / "context", {"Dockerfile": CROSS})
    done = bases.build(context, BOTH)
    assert sum("RUN printf" in step.name for step in done.steps) == 2
    assert any(step.name.startswith("[linux/amd64->arm64 compile") for step in done.steps)
    for architecture in ("amd64", "arm64"):
        assert ran(bases, architecture) == [f"made on amd64 for {architecture} by {os.uname().machine}"]


def test_a_step_for_another_platform_is_emulated(bases: Program, tmp_path: Path) -> None:
    context = write_context(tmp_path / "context", {"Dockerfile": EMULATED})
    bases.build(context, BOTH)
    assert ran(bases, "amd64") == ["x86_64", "linux/amd64", "1000"]
    assert ran(bases, "arm64") == ["aarch64", "linux/arm64", "1000"]
    shown = json.loads(bases.run("inspect", "--platform=linux/arm64", "built").stdout)[0]
    assert (shown["Os"], shown["Architecture"]) == ("linux", "arm64")
    again = bases.build(context, BOTH)
    assert again.executed == []


def test_an_emulated_command_that_fails_ends_the_build_with_its_code(bases: Program, tmp_path: Path) -> None:
    context = write_context(tmp_path / "context", {"Dockerfile": "FROM bases\nRUN echo from $(uname -m); exit 7\n"})
    done = bases.build(context, "--platform=linux/arm64", check=False)
    assert "from aarch64" in done.printed
    assert "exit code: 7" in done.printed


@pytest.mark.parametrize("hidden", ["not mounted", "an empty file system over it"])
def test_binfmt_misc_need_not_be_seen(bases: Program, tmp_path: Path, hidden: str) -> None:
    context = write_context(tmp_path / "context", {"Dockerfile": "FROM bases\nRUN uname -m\n"})
    cover = "mount -t tmpfs none /proc/sys/fs/binfmt_misc" if hidden != "not mounted" else "true"
    command = ["unshare", "--mount", "sh", "-c", f'{cover} && exec "$@"', "sh", sys.executable, "-m", "pybuild"]
    words = [*command, *build_arguments(context, ("--platform=linux/arm64",))]
    result = subprocess.run(words, env=bases.environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert any("aarch64" in step.output for step in built(0, result.stderr).steps)


def test_without_an_emulator_run_says_what_to_install(bases: Program) -> None:
    bases.run("import", "--platform=linux/s390x", os.fspath(small_arm64()), "elsewhere")
    done = bases.run("run", "--platform=linux/s390x", "elsewhere", "true", check=False)
    assert done.returncode == 125
    assert "cannot run programs for linux/s390x: no emulator is registered" in done.stderr
    assert "qemu" in done.stderr
