import gzip
import io
import tarfile
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from pybuild.builder.content.context import with_surroundings
from pybuild.builder.definition.epoch_sources import named_source, newest
from pybuild.builder.errors import ResolveError
from pybuild.builder.plan.plan import Definition
from pybuild.builder.request import Request
from pybuild.builder.sources.address import GitSource, HttpSource, RemoteSource
from pybuild.builder.store.store import open_store

WEB = "https://a.invalid/x.tar"
SUM = "sha256:" + "0" * 64


def named(text: str, value: str | None = None, **request: Any) -> tuple[str, RemoteSource | None]:
    arguments = () if value is None else (("SOURCE_DATE_EPOCH", value),)
    asked = Request.of(**({"context": Path(), "build_args": arguments} | request))
    definition = Definition("Dockerfile", dedent(text).lstrip("\n"))
    return named_source(with_surroundings(definition, asked.files, ignored=""), asked.planning)


def source(text: str, value: str | None = None, **request: Any) -> RemoteSource | None:
    return named(text, value, **request)[1]


def test_the_default_of_the_global_argument_counts_where_none_is_given() -> None:
    text = "ARG year=7\nARG SOURCE_DATE_EPOCH=${year}00\nFROM scratch\n"
    assert named(text) == ("700", None)
    assert named("FROM scratch\nARG SOURCE_DATE_EPOCH=5\n") == ("", None)


def test_the_context_is_what_it_was_taken_from() -> None:
    assert source("FROM scratch\n", "context") is None
    web = source("FROM scratch\n", "context", context=WEB)
    assert isinstance(web, HttpSource)
    assert web.url == WEB


def test_a_named_context_goes_before_a_stage_of_its_name(tmp_path: Path) -> None:
    text = f"FROM scratch AS src\nADD {WEB} /\nFROM scratch\n"
    found = source(text, "src", contexts=(("src", "https://b.invalid/y.git"),))
    assert isinstance(found, GitSource)
    assert source(text, "src", contexts=(("src", str(tmp_path)),)) is None
    assert source(text, "src", contexts=(("src", "docker-image://x"),)) is None


def test_a_stage_names_its_one_remote_source() -> None:
    text = f"""
        ARG host=a.invalid
        FROM scratch AS Src
        ARG file=x.tar sum={SUM}
        ADD --checksum=$sum https://$host/$file /
        FROM scratch
    """
    assert source(text, "SRC") == HttpSource(url=WEB, checksum=SUM, name="x.tar")
    arguments = (("file", "y.tar"), ("SOURCE_DATE_EPOCH", "src"))
    other = source(text, build_args=arguments)
    assert isinstance(other, HttpSource)
    assert other.url == "https://a.invalid/y.tar"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (f"FROM base AS src\nADD {WEB} /\n", "stage must use FROM scratch"),
        ("FROM scratch AS src\n", "stage must contain exactly one remote ADD"),
        (f"FROM scratch AS src\nADD {WEB} /\nADD {WEB} /\n", "stage must contain exactly one remote ADD"),
        (f"FROM scratch AS src\nADD {WEB} {WEB} /\n", "stage must contain exactly one remote ADD source"),
        ("FROM scratch AS src\nADD <<E /\nE\n", "stage must contain exactly one remote ADD source"),
        ("FROM scratch AS src\nADD file /\n", r"stage source must be a single HTTP\(S\) or Git ADD"),
        (
            f"FROM scratch AS src\nADD {WEB} /\nENV a=b\n",
            "stage does not meet source-only requirements: unsupported ENV instruction",
        ),
    ],
)
def test_a_stage_that_does_more_is_refused_with_its_place(body: str, message: str) -> None:
    with pytest.raises(ResolveError, match=f"^SOURCE_DATE_EPOCH {message}$") as caught:
        source(body, "src")
    assert caught.value.span is not None


@pytest.mark.parametrize("value", ["nothing", "-5", "1.5", "9" * 20])
def test_what_names_nothing_is_refused(value: str) -> None:
    with pytest.raises(ResolveError, match=f"^invalid SOURCE_DATE_EPOCH: {value}$"):
        source("FROM scratch AS src\n", value)


def archive(*times: int) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        directory = tarfile.TarInfo("d")
        directory.type, directory.mtime = tarfile.DIRTYPE, 9_000
        tar.addfile(directory)
        for number, time in enumerate(times):
            member = tarfile.TarInfo(f"d/{number}")
            member.mtime = time
            tar.addfile(member)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("content", "time"),
    [
        (archive(5, 700, 6), 700),
        (gzip.compress(archive(8), mtime=0), 8),
        (archive(), None),
        (b"FROM scratch\n", None),
        (archive(5, 6)[:700] + b"x" * 1000, None),
    ],
)
def test_an_archive_is_as_old_as_its_newest_file(tmp_path: Path, content: bytes, time: int | None) -> None:
    store = open_store(tmp_path / "store")
    blob = store.blobs.put(content, "application/octet-stream")
    assert newest(blob.digest, store) == time
    store.close()
