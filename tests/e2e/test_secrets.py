"""What a step is lent, a secret or an agent, is nowhere afterwards."""

import base64
import gzip
import socket
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from tests.helpers.contexts import write_context
from tests.helpers.program import Program

SECRET = "hunter2-Tr0ub4dor-and-3"
SPELLINGS = (SECRET.encode(), base64.b64encode(SECRET.encode()), SECRET.encode().hex().encode())


def texts(folder: Path) -> Iterator[tuple[Path, bytes]]:
    """All files below *folder*, those that are compressed in clear, too."""
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            data = path.read_bytes()
            yield path, data
            if data.startswith(b"\x1f\x8b"):
                try:
                    yield path, gzip.decompress(data)
                except (OSError, EOFError, zlib.error) as error:
                    raise AssertionError(path) from error


def test_a_secret_is_in_no_file_and_no_output(program: Program, tmp_path: Path) -> None:
    dockerfile = """
        FROM small
        RUN --mount=type=secret,id=one cat /run/secrets/one && wc -c < /run/secrets/one > /size
        RUN --mount=type=secret,id=two,env=TWO echo "it is $TWO" && echo ${#TWO} >> /size
        RUN --mount=type=secret,id=one,target=/deep/file,mode=0444 cat /deep/file > /dev/null && test ! -e /run/secrets/one
        RUN test ! -e /deep/file && test -z "$TWO"
    """
    context = write_context(tmp_path / "context", {"Dockerfile": dockerfile})
    given, results = tmp_path / "given", tmp_path / "results"
    results.mkdir()
    given.write_text(SECRET)
    built = replace(program, variables=(("TWO", SECRET),)).build(
        context,
        f"--secret=id=one,src={given}",
        "--secret=id=two,env=TWO",
        f"--metadata-file={results / 'metadata.json'}",
        f"--output=type=oci,dest={results / 'image.tar'}",
        f"--output=type=local,dest={results / 'tree'}",
    )
    assert program.run("run", "--rm", "built", "cat", "/size").stdout.split() == [str(len(SECRET))] * 2
    assert "it is" in built.printed
    assert SECRET not in built.printed + program.run("history", "--no-trunc", "built").stdout
    looked_at = [(path, data) for folder in (program.store, results) for path, data in texts(folder)]
    assert {path.name for path, _ in looked_at} >= {"image.tar", "metadata.json", "size"}
    assert [path for path, data in looked_at if any(spelling in data for spelling in SPELLINGS)] == []


def test_an_agent_is_there_for_its_step_alone(program: Program, tmp_path: Path) -> None:
    dockerfile = """
        FROM small
        RUN --mount=type=ssh ls -ln "$SSH_AUTH_SOCK" > /one
        RUN --mount=type=ssh,target=/run/own,uid=7,gid=8,mode=0660 ls -ln /run/own > /two
        RUN ls -d /run/* > /three 2> /dev/null; echo "$SSH_AUTH_SOCK." >> /three
    """
    context = write_context(tmp_path / "context", {"Dockerfile": dockerfile})
    with socket.socket(socket.AF_UNIX) as agent:
        agent.bind(str(tmp_path / "agent"))
        program.build(context, f"--ssh=default={tmp_path / 'agent'}")
    shown = program.run("run", "--rm", "built", "cat", "/one", "/two", "/three").stdout.splitlines()
    assert [line.split()[0:1] + line.split()[2:4] for line in shown[:2]] == [
        ["srw-------", "0", "0"],
        ["srw-rw----", "7", "8"],
    ]
    assert shown[2:] == ["."]
    assert list((program.store / "tmp").iterdir()) == []
