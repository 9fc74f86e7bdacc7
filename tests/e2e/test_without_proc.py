"""A root without /proc, as a bare chroot is: what is missing is named, and what to do."""

import subprocess
from pathlib import Path

import pytest

from tests.helpers.contexts import write_context
from tests.helpers.hosts import need_programs
from tests.helpers.program import Program


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("build", "{context}"), 3),
        (("build", "--check", "{context}"), 3),
        (("run", "--rm", "small", "true"), 125),
        (("images",), 3),
    ],
)
def test_a_missing_proc_is_named_before_anything_else(
    program: Program, tmp_path: Path, words: tuple[str, ...], code: int
) -> None:
    need_programs(["unshare", "umount"])
    context = write_context(tmp_path / "context", {"Dockerfile": "FROM small\nRUN true\n"})
    arguments = [word.format(context=context) for word in words]
    result = subprocess.run(
        ["unshare", "--mount", "sh", "-euc", 'umount -l /proc; exec "$@"', "sh", *program.command(*arguments)],
        env=program.environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.stderr == "ERROR: /proc is not mounted here\nhint: mount it: mount -t proc proc /proc\n"
    assert result.returncode == code
