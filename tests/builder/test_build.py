import pytest

from pybuild.builder.build import build
from pybuild.builder.errors import BuildError, RequestError
from pybuild.builder.execute import ops
from pybuild.builder.oci.image import read_image
from pybuild.builder.oci.validate import validate
from pybuild.builder.progress import Warned
from pybuild.builder.request import Request, Target
from pybuild.builder.store.store import open_store
from pybuild.grammar.dockerfile import parser
from tests.helpers.contexts import write_context
from tests.helpers.fake_execute import FakeExecute
from tests.helpers.images import tiny_image
from tests.helpers.resolving import BASE

TEXT = 'FROM base\nCOPY f /f\nRUN write /g 1\nENV a=1\nCMD ["x"]\n'


@pytest.fixture
def store(tmp_path, monkeypatch):
    fake = FakeExecute()
    monkeypatch.setattr(ops, "execute", fake)
    opened = open_store(tmp_path / "store")
    opened.layout.tag(BASE, tiny_image(opened.blobs, {"bin/sh": b"1"}).descriptor)
    yield opened
    opened.close()


@pytest.fixture
def context(tmp_path):
    return write_context(tmp_path / "context", {"Dockerfile": TEXT, "f": "1"})


def test_a_build_makes_a_valid_image_under_all_its_names(store, context):
    outcome = build(Request.of(context=context, tags=("a", "b:2", "a")), store)
    assert outcome.names == ("docker.io/library/a:latest", "docker.io/library/b:2")
    for name in outcome.names:
        assert store.layout.resolve(name).digest == outcome.descriptor.digest
    image = read_image(store.blobs, outcome.descriptor)
    assert image.id == outcome.image_id
    assert image.config.config.cmd == ("x",)
    assert len(image.manifest.layers) == len(image.config.diff_ids) == 3
    assert validate(store.blobs, outcome.descriptor) == []


def test_the_same_build_gives_the_same_image(store, context):
    first = build(Request.of(context=context), store)
    assert build(Request.of(context=context), store) == first


def test_settings_alone_give_the_same_image_each_time(store, context):
    write_context(context, {"Dockerfile": "FROM scratch\nENV a=1\n"})
    assert build(Request.of(context=context), store) == build(Request.of(context=context), store)


def test_an_image_without_a_name_is_kept_all_the_same(store, context):
    outcome = build(Request.of(context=context), store)
    assert outcome.descriptor.digest in {descriptor.digest for _, descriptor in store.layout.entries()}


def test_a_failed_build_names_nothing(store, context):
    write_context(context, {"Dockerfile": TEXT + "RUN fail\n"})
    before = store.layout.entries()
    with pytest.raises(BuildError, match="it went wrong"):
        build(Request.of(context=context, tags=("a",)), store)
    assert store.layout.entries() == before


def test_a_wrong_tag_is_refused_before_anything_is_read(store, tmp_path):
    with pytest.raises(RequestError, match="invalid tag"):
        build(Request.of(context=tmp_path / "nowhere", tags=("A B",)), store)


def test_warnings_are_shown_cached_or_not(store, context):
    for _ in range(2):
        events = []
        build(Request.of(context=context, build_args=(("unused", "1"),)), store, events.append)
        assert [event.message for event in events if isinstance(event, Warned)] == [
            "one or more build arguments were not consumed: unused"
        ]


def test_the_dockerfile_is_parsed_once(store, context, monkeypatch):
    parsed = []
    real = parser.parse_prefix
    monkeypatch.setattr(parser, "parse_prefix", lambda source: parsed.append(source) or real(source))
    (context / "Dockerfile").write_text("ARG SOURCE_DATE_EPOCH=7\n" + TEXT + "LABEL epoch=1\n")
    build(Request.of(context=context, targets=(Target(stage="0"),)), store)
    assert len(parsed) == 1
    (context / "Dockerfile").write_text("ARG SOURCE_DATE_EPOCH=7\n" + TEXT + "COPY --from=nothing x y\n")
    with pytest.raises(BuildError):
        build(Request.of(context=context, platforms=("linux/amd64", "linux/arm64")), store)
    assert len(parsed) == 2
