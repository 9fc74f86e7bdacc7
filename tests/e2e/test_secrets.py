"""What a step is lent, a secret or an agent, is nowhere afterwards."""

import base64
import gzip
import json
import socket
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.helpers import trees
from tests.helpers.contexts import write_context
from tests.helpers.program import Program

SECRET = "hunter2-Tr0ub4dor-and-3"
SPELLINGS = (SECRET.encode(), base64.b64encode(SECRET.encode()), SECRET.encode().hex().encode())


def texts(directory: Path) -> Iterator[tuple[Path, bytes]]:
    """All files below *directory*, those that are compressed in clear, too."""
    for path in directory.rglob("*"):
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
    looked_at = [(path, data) for directory in (program.store, results) for path, data in texts(directory)]
    assert {path.name for path, _ in looked_at} >= {"image.tar", "metadata.json", "size"}
    assert [path for path, data in looked_at if any(spelling in data for spelling in SPELLINGS)] == []


SHOWS = """
    FROM small
    RUN --mount=type=secret,id=one,env=ONE set -x; echo "$ONE"; echo "user:$ONE" | base64; echo "$ONE" | base64; \\
        printf %s "$ONE" | od -An -v -tx1 | tr -d ' \\n'; echo; printf %s "$ONE" | od -An -v -tx1 | tr -d ' \\n' | tr a-f A-F; \\
        echo "$ONE" >&2; {end}
"""


def _blobs(archive: Path) -> Iterator[bytes]:
    """The members of an image archive, layers in clear."""
    with tarfile.open(archive) as tar:
        for member in tar:
            file = tar.extractfile(member)
            data = file.read() if file is not None else b""
            yield gzip.decompress(data) if data.startswith(b"\x1f\x8b") else data


@pytest.mark.parametrize(("end", "code"), [("true", 0), ("exit 3", 1)])
@pytest.mark.parametrize("progress", ["plain", "rawjson"])
def test_what_a_step_prints_of_a_secret_is_masked(
    program: Program, tmp_path: Path, end: str, code: int, progress: str
) -> None:
    context = write_context(tmp_path / "context", {"Dockerfile": SHOWS.format(end=end)})
    lent = replace(program, variables=(("ONE", SECRET),))
    arguments = ("build", f"--progress={progress}", "--secret=id=one,env=ONE", str(context))
    result = lent.run(*arguments, check=False)
    assert result.returncode == code
    printed = result.stderr.encode()
    if progress == "rawjson":
        documents = [json.loads(line) for line in result.stderr.splitlines() if line.startswith("{")]
        printed += b"".join(base64.b64decode(log["data"]) for item in documents for log in item.get("logs", ()))
    assert printed.count(b"****") >= 5
    kept = [base64.b64encode(b"user:" + SECRET.encode())[8:-4], SECRET.encode().hex().upper().encode()]
    assert [form for form in (*SPELLINGS, *kept) if form in printed] == []


def test_a_secret_is_in_no_layer_of_an_exported_image(program: Program, tmp_path: Path) -> None:
    dockerfile = """
        FROM small
        RUN --mount=type=secret,id=one wc -c < /run/secrets/one > /size
        RUN --mount=type=secret,id=one,target=/etc/one,env=ONE test "$ONE" = "$(cat /etc/one)"
    """
    context = write_context(tmp_path / "context", {"Dockerfile": dockerfile})
    lent = replace(program, variables=(("ONE", SECRET),))
    lent.build(context, "--secret=id=one,env=ONE", f"--output=type=docker,dest={tmp_path / 'image.tar'}")
    program.save("built", tmp_path / "saved.tar")
    for archive in ("image.tar", "saved.tar"):
        blobs = list(_blobs(tmp_path / archive))
        assert any(b"size" in blob for blob in blobs)
        assert [blob for blob in blobs if any(form in blob for form in SPELLINGS)] == []


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


def test_a_secret_in_a_shared_cache_mount_is_there_until_its_own_step_ends(program: Program, tmp_path: Path) -> None:
    """The step that made its mount point ends first; ``wait`` waits for a file of the other stage for half a minute."""
    mounts = "--mount=type=cache,target=/m --mount=type=secret,id=one,target=/m/settings"
    wait = "n=0; while [ ! -e /m/FILE ] && [ $((n += 1)) -lt 600 ]; do sleep 0.05; done"
    first, second = (wait.replace("FILE", name) for name in ("second", "ended"))
    text = f"""FROM small AS a
RUN {mounts} touch /m/first; {first}
RUN --mount=type=cache,target=/m touch /m/ended
FROM small AS b
RUN --mount=type=cache,target=/m {wait.replace("FILE", "first")}
RUN {mounts} touch /m/second; {second}; wc -c < /m/settings > /size
FROM small
COPY --from=a /etc/motd /
COPY --from=b /size /
"""
    context = write_context(tmp_path / "c", {"Dockerfile": text, "s": SECRET})
    program.build(context, f"--secret=id=one,src={context}/s")
    assert trees.read_archive(program.save("built", tmp_path / "saved.tar")).tree["/size"].text == b"%d\n" % len(SECRET)
