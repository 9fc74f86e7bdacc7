import base64
import gzip
import io
import os
import tarfile
from pathlib import Path

import pytest

from pybuild.builder.build import build
from pybuild.builder.definition.load import load_definition, read_dockerfile
from pybuild.builder.errors import BuildError, RequestError
from pybuild.builder.oci.image import read_image
from pybuild.builder.oci.layers.unpack import entries
from pybuild.builder.oci.validate import validate
from pybuild.builder.plan.plan import Definition
from pybuild.builder.progress import StepFinished, StepStarted, silent
from pybuild.builder.reporter import Reporter
from pybuild.builder.request import Files, Request, Secret
from pybuild.builder.sources.pins import Remotes
from tests.helpers.contexts import write_context
from tests.helpers.repositories import Repository, daemon

TEXT = "FROM scratch\nCOPY . /c/\n"


@pytest.fixture
def served(tmp_path):
    repository = Repository(tmp_path / "served")
    repository.commit({"Dockerfile": TEXT, "sub/other.df": "FROM scratch\nCOPY sub /s/\n", ".dockerignore": "sub"})
    with daemon(tmp_path / "served") as address:
        yield f"{address}/x.git"


def archive(**files):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            tar.addfile(entry, io.BytesIO(text.encode()))
    return stream.getvalue()


def text_of(store, context, dockerfile=None):
    request = Request.of(context=context, dockerfile=dockerfile)
    reporter = Reporter(silent)
    remotes = Remotes(request.execution, store, reporter)
    return load_definition(request.files, request.planning, remotes, request.caches)


def files_of(store, request, progress=silent):
    """What the image of a build holds, without the directories."""
    outcome = build(request, store, progress)
    assert validate(store.blobs, outcome.descriptor) == []
    found = []
    for layer in read_image(store.blobs, outcome.descriptor).manifest.layers:
        with store.blobs.open(layer) as stream:
            found += [entry.path for entry in entries(stream) if entry.kind.name != "DIRECTORY"]
    return sorted(found)


def read(context, dockerfile=None):
    return read_dockerfile(Files(context=context, dockerfile=dockerfile))


def refused(message, context, dockerfile=None):
    with pytest.raises(RequestError, match=message) as caught:
        read(context, dockerfile)
    return caught.value


def test_the_dockerfile_of_the_context_is_read_in_either_spelling(tmp_path):
    (tmp_path / "dockerfile").write_text("small")
    assert read(tmp_path) == Definition("dockerfile", "small")
    (tmp_path / "Dockerfile").write_text("great")
    assert read(tmp_path) == Definition("Dockerfile", "great")


def test_another_one_may_be_named_wherever_it_is(tmp_path):
    (tmp_path / "my.df").write_text("x")
    assert read(tmp_path / "nowhere", tmp_path / "my.df") == Definition("my.df", "x")


def test_a_missing_one_is_refused_with_the_way_to_name_another(tmp_path):
    assert "-f" in refused("open Dockerfile: no such file or directory", tmp_path).hint
    refused("my.df: no such file or directory", tmp_path, tmp_path / "my.df")
    refused("is a directory", tmp_path, tmp_path)


def test_a_named_one_without_end_is_left_at_the_limit(tmp_path):
    (tmp_path / "my.df").symlink_to("/dev/zero")
    refused("my.df: longer than 16777216 bytes", tmp_path, tmp_path / "my.df")


def test_a_link_out_of_a_context_of_this_host_is_not_followed(tmp_path):
    context = tmp_path / "context"
    context.mkdir()
    (tmp_path / "outside").write_text("secret")
    (context / "Dockerfile").symlink_to("../outside")
    refused("no such file", context)


def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "Dockerfile")
    refused("failed to read dockerfile", tmp_path)


def test_a_containerfile_is_named_when_it_is_all_there_is(tmp_path):
    (tmp_path / "Containerfile").write_text("FROM x\n")
    with pytest.raises(RequestError, match="failed to read dockerfile") as caught:
        read_dockerfile(Files(context=tmp_path))
    assert caught.value.hint == f"there is a Containerfile: give it with -f {tmp_path}/Containerfile"


def test_text_that_is_not_utf_8_is_refused_with_its_line(tmp_path):
    (tmp_path / "Dockerfile").write_bytes(b"FROM x\nRUN \xff\n")
    refused("Dockerfile:2: the Dockerfile is not valid UTF-8", tmp_path)


def test_a_repository_is_a_build_context_without_an_ignore_file(store, served):
    assert text_of(store, served).text == TEXT
    assert files_of(store, Request.of(context=served)) == ["c/.dockerignore", "c/Dockerfile", "c/sub/other.df"]
    assert files_of(store, Request.of(context=served, dockerfile=Path("sub/other.df"))) == ["s/other.df"]
    text = text_of(store, f"{served}#main:sub", Path("other.df"))
    assert text.name == "other.df"


def test_another_dockerfile_is_one_of_the_context(store, served, tmp_path):
    assert text_of(store, served, Path("sub/other.df")).name == "other.df"
    own = write_context(tmp_path / "own", {"mine": "FROM scratch\n"})
    assert text_of(store, served, own / "mine").text == "FROM scratch\n"


@pytest.mark.parametrize("path", ["nothing", "../x", "sub"])
def test_a_dockerfile_that_is_not_in_the_context_is_an_error(store, served, path):
    with pytest.raises(RequestError, match="failed to read dockerfile"):
        text_of(store, served, Path(path))


def test_an_archive_from_the_web_is_unpacked(store, web):
    web.files["/c.tgz"] = archive(Dockerfile=TEXT, f="1")
    assert files_of(store, Request.of(context=web.url("/c.tgz"))) == ["c/Dockerfile", "c/f"]


def test_what_is_no_archive_is_a_dockerfile_with_nothing_beside_it(store, web):
    web.files["/D"] = TEXT.encode()
    assert text_of(store, web.url("/D")).text == TEXT
    assert files_of(store, Request.of(context=web.url("/D"))) == ["c/context"]


def test_a_link_out_of_the_context_is_not_followed(store, web, tmp_path):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        entry = tarfile.TarInfo("Dockerfile")
        entry.type, entry.linkname = tarfile.SYMTYPE, str(tmp_path / "outside")
        tar.addfile(entry)
    (tmp_path / "outside").write_text(TEXT)
    web.files["/c.tar"] = stream.getvalue()
    with pytest.raises(RequestError, match="failed to read dockerfile"):
        text_of(store, web.url("/c.tar"))


def test_the_second_build_from_elsewhere_asks_and_does_nothing_more(store, web, served):
    web.files["/c.tgz"] = archive(Dockerfile=TEXT, f="1")
    for context in (web.url("/c.tgz"), served):
        files_of(store, Request.of(context=context))
        events = []
        files_of(store, Request.of(context=context), events.append)
        names = {event.step: event.name for event in events if isinstance(event, StepStarted)}
        done = [names[event.step] for event in events if isinstance(event, StepFinished) and not event.cached]
        assert done == [
            f"[internal] load metadata for {context}",
            "[internal] load build definition from Dockerfile",
            "exporting to image",
        ]
    assert [asked.method for asked in web.requests] == ["GET", "GET"]


def test_a_failing_registry_is_a_step_of_its_own_and_told_there_alone(store, tmp_path):
    (tmp_path / "Dockerfile").write_text("FROM 127.0.0.1:1/a/b:1\n")
    events = []
    with pytest.raises(BuildError, match="Connection refused"):
        build(Request.of(context=tmp_path), store, events.append)
    names = {event.step: event.name for event in events if isinstance(event, StepStarted)}
    told = {names[event.step]: event.error for event in events if isinstance(event, StepFinished)}
    assert told == {
        "[internal] load build definition from Dockerfile": "",
        "[internal] load metadata for 127.0.0.1:1/a/b:1": told["[internal] load metadata for 127.0.0.1:1/a/b:1"],
    }
    assert "Connection refused" in told["[internal] load metadata for 127.0.0.1:1/a/b:1"]


@pytest.mark.parametrize("context", ["http://127.0.0.1:1/c.tar", "http://127.0.0.1:1/c.git"])
def test_a_context_that_cannot_be_reached_is_no_failure_of_the_definition(store, context):
    events = []
    with pytest.raises(BuildError, match=r"127\.0\.0\.1"):
        build(Request.of(context=context), store, events.append)
    started = [event.name for event in events if isinstance(event, StepStarted)]
    assert started == [f"[internal] load metadata for {context}"]


def test_a_context_that_cannot_be_brought_is_an_error(store, web):
    with pytest.raises(BuildError, match="status 404"):
        text_of(store, web.url("/nothing.tgz"))
    with pytest.raises(RequestError, match="must not contain a user name"):
        text_of(store, "https://me:word@h.invalid/x.git")


def test_named_contexts_of_all_kinds_make_one_image(store, web, served, tmp_path):
    web.files["/c.tgz"] = archive(w="1")
    directory = write_context(
        tmp_path / "folder", {"f": "1", "hidden": "2", ".dockerignore": "hidden\n.dockerignore\n"}
    )
    text = """
        FROM nothing AS stage
        RUN fail
        FROM stage
        COPY --from=web / /web/
        COPY --from=folder . /folder/
        """
    main = write_context(tmp_path / "main", {"Dockerfile": text})
    contexts = (("stage", f"{served}#main:sub"), ("web", web.url("/c.tgz")), ("folder", str(directory)))
    assert files_of(store, Request.of(context=main, contexts=contexts)) == ["folder/f", "other.df", "web/w"]


def test_a_stage_may_be_a_directory(store, tmp_path):
    directory = write_context(tmp_path / "folder", {"a/b": "1"})
    main = write_context(tmp_path / "main", {"Dockerfile": "FROM x\n"})
    assert files_of(store, Request.of(context=main, contexts=(("x", str(directory)),))) == ["a/b"]


def test_a_secret_is_sent_and_kept_nowhere(store, web, tmp_path, monkeypatch):
    repository = Repository(tmp_path / "hidden")
    repository.commit({"Dockerfile": f"FROM scratch\nADD {web.url('/a')} /\nADD --keep-git-dir . /c/\n"})
    web.repositories = tmp_path / "hidden"
    web.files["/a"] = b"1"
    monkeypatch.setenv("CANARY", "S3CR3T-canary")
    secrets = (
        Secret(id="GIT_AUTH_TOKEN", variable="CANARY"),
        Secret(id="HTTP_AUTH_TOKEN_127.0.0.1", variable="CANARY"),
    )
    arguments = (("BUILDKIT_CONTEXT_KEEP_GIT_DIR", "1"),)
    files = files_of(store, Request.of(context=web.url("/git/x.git"), secrets=secrets, build_args=arguments))
    assert "c/.git/config" in files
    assert all("Authorization" in asked.headers for asked in web.requests)
    forms = [b"S3CR3T-canary", base64.b64encode(b"x-access-token:S3CR3T-canary")]
    for path in (path for path in store.root.rglob("*") if path.is_file()):
        content = path.read_bytes()
        plain = gzip.decompress(content) if content.startswith(b"\x1f\x8b") else content
        assert not any(form in plain for form in forms), path
