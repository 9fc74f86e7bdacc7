"""A Dockerfile is UTF-8 under every locale, and files keep the bytes of their names."""

import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from tests.helpers.hosts import need_programs
from tests.helpers.locales import JAPANESE, LATIN, variables_for
from tests.helpers.program import Program

LOCALES = ("C.UTF-8", "POSIX", LATIN, JAPANESE)
TEXT = """FROM small AS built
ARG WORD=é€
ENV PLACE=/wé
WORKDIR /wé
COPY fé /copied/
COPY d* /all/
COPY --chmod=0600 <<EOF /héredoc
ü€ $WORD
EOF
RUN printf %s "$WORD" > "é€" && echo * > /names
RUN <<EOF
printf 'ä' > /ä
EOF
RUN --mount=type=secret,id=s,target=/sé cat /sé > /secret
LABEL mark=é€
FROM scratch
COPY --from=built /wé /w
COPY --from=built /copied /copied
COPY --from=built /all /all
COPY --from=built /héredoc /ä /names /secret /
"""
WANTED = {
    b"w/\xc3\xa9\xe2\x82\xac": "é€".encode(),
    b"copied/f\xc3\xa9": b"a file\n",
    b"all/d\xe9": b"latin\n",
    b"all/d\xc3\xbc": b"unicode\n",
    b"h\xc3\xa9redoc": "ü€ é€\n".encode(),
    b"\xc3\xa4": "ä".encode(),
    b"names": "é€\n".encode(),
    b"secret": b"s\xe9cret",
}


@pytest.fixture
def context(tmp_path: Path) -> Path:
    directory = tmp_path / "context"
    directory.mkdir()
    for name, content in ((b"f\xc3\xa9", b"a file\n"), (b"d\xe9", b"latin\n"), (b"d\xc3\xbc", b"unicode\n")):
        (directory / os.fsdecode(name)).write_bytes(content)
    (directory / "Dockerfile").write_text(TEXT, encoding="utf-8")
    (tmp_path / "secret").write_bytes(b"s\xe9cret")
    return directory


def in_locale(program: Program, name: str, tmp_path: Path) -> Program:
    need_programs(["localedef"])
    return Program(store=program.store, variables=variables_for(name, tmp_path / "locales"))


@pytest.mark.parametrize("name", LOCALES)
def test_text_is_utf8_and_names_keep_their_bytes(program: Program, context: Path, tmp_path: Path, name: str) -> None:
    there = in_locale(program, name, tmp_path)
    out = tmp_path / "out.tar"
    there.build(context, "--secret", f"id=s,src={tmp_path / 'secret'}", "-o", f"type=tar,dest={out}")
    with tarfile.open(out) as tar:
        files = {os.fsencode(member.name): tar.extractfile(member) for member in tar if member.isfile()}
        assert {path: file.read() for path, file in files.items() if file is not None} == WANTED


@pytest.mark.parametrize("name", LOCALES)
def test_a_build_argument_and_a_name_of_the_shell_are_bytes(
    program: Program, context: Path, tmp_path: Path, name: str
) -> None:
    there = in_locale(program, name, tmp_path)
    (context / "Dockerfilé").write_text("FROM small\nARG W\nRUN printf %s $W | od -An -tx1 >&2\n", encoding="utf-8")
    # C's EUC-JP decodes bytes of the second character that Python's codec cannot encode again.
    built = there.build(context, "--build-arg", "W=ä€", "-f", f"{context}/Dockerfilé")
    assert "c3 a4 e2 82 ac" in built.printed


def test_messages_are_of_the_terminals_encoding_and_data_is_utf8(
    program: Program, context: Path, tmp_path: Path
) -> None:
    there = in_locale(program, LATIN, tmp_path)
    (context / "Dockerfile").write_text("FROM scratch\nCOPY nö /\n", encoding="utf-8")
    failed = subprocess.run(
        there.command("build", str(context)), env=there.environment, capture_output=True, check=False
    )
    assert failed.returncode == 1
    assert b'"/n\xf6": not found' in failed.stderr
    (context / "Dockerfile").write_text('FROM scratch\nLABEL é="ü€"\n', encoding="utf-8")
    there.build(context, tag="labelled")
    shown = subprocess.run(
        there.command("inspect", "-f", '{{index .Config.Labels "é"}}', "labelled"),
        env=there.environment,
        capture_output=True,
        check=True,
    )
    assert shown.stdout == "ü€\n".encode()


def test_a_program_that_imports_pybuild_is_told(program: Program, tmp_path: Path) -> None:
    there = in_locale(program, LATIN, tmp_path)
    code = "from pybuild.builder.store.store import open_store; open_store()"
    done = subprocess.run(
        [sys.executable, "-c", code], env=there.environment, capture_output=True, text=True, check=False
    )
    assert "this Python encodes file names as iso8859-1" in done.stderr
    done = subprocess.run([sys.executable, "-X", "utf8", "-c", code], env=there.environment, check=False)
    assert done.returncode == 0
