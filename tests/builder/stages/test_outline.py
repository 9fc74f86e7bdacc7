import pytest

from pybuild.builder.errors import ResolveError
from pybuild.builder.sources.address import GitSource
from pybuild.builder.stages.outline import global_arguments
from pybuild.builder.stages.stages import FromContext, FromImage, FromRemote, FromScratch, FromStage
from pybuild.grammar.dockerfile import parser
from pybuild.grammar.errors import DockerfileError
from tests.helpers.resolving import BASE, base_config, marked, outline_of, source_of

OTHER = "docker.io/library/other:latest"


def needs_of(text, configs=None, **request):
    return outline_of(text, **request).needs(configs or {})


def refused(text, message, **request):
    """The error that asking for the needs of *text* raises."""
    with pytest.raises(ResolveError) as caught:
        needs_of(text, **request)
    assert message in caught.value.message
    return caught.value


def test_each_from_opens_a_section_with_what_it_starts_from():
    outline = outline_of("FROM base AS one\nRUN x\nFROM scratch\nFROM ONE AS three\nRUN y\nRUN z\n")
    assert [section.base for section in outline.sections] == [FromImage(BASE), FromScratch(), FromStage(0)]
    assert [section.label for section in outline.sections] == ["one", "stage-1", "three"]
    assert [len(section.body) for section in outline.sections] == [1, 0, 2]


def test_of_two_stages_with_one_name_the_later_one_is_meant():
    outline = outline_of("FROM scratch AS a\nFROM base AS a\nFROM a\n")
    assert outline.sections[2].base == FromStage(1)


def test_a_base_uses_global_arguments_only():
    assert outline_of("ARG v=1\nFROM base:$v\n").sections[0].base == FromImage("docker.io/library/base:1")
    assert outline_of("ARG v=1\nARG w=x$v\nFROM base:$w\n", build_args=(("v", "2"),)).sections[0].base == FromImage(
        "docker.io/library/base:x2"
    )


def test_a_base_that_expands_to_nothing_is_refused_where_it_stands():
    text = "ARG v\nFROM ${v}\n"
    error = refused(text, "base name (${v}) should not be blank")
    assert marked(text, error.span) == "${v}"
    assert "--build-arg" in error.hint


def test_a_base_that_is_no_reference_is_refused_with_the_stage_that_was_meant():
    text = "FROM scratch AS builder\nFROM Bulder\n"
    error = refused(text, 'failed to parse stage name "Bulder"')
    assert marked(text, error.span) == "Bulder"
    assert "builder" in error.hint


def test_the_target_is_the_last_stage_unless_one_is_named_in_any_case_or_numbered():
    text = "FROM scratch AS one\nFROM scratch AS two\n"
    assert outline_of(text).target == 1
    assert outline_of(text, target="ONE").target == 0
    assert outline_of(text, target="0").target == 0


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("bulid", 'target stage "bulid" could not be found (did you mean build?)'),
        ("completely-else", 'target stage "completely-else" could not be found'),
        ("7", 'target stage "7" could not be found'),
        ("1" * 5000, f'target stage "{"1" * 5000}" could not be found'),
    ],
)
def test_an_unknown_target_is_refused_with_the_name_that_was_meant(target, message):
    with pytest.raises(ResolveError) as caught:
        outline_of("FROM scratch AS build\n", target=target)
    assert caught.value.message == message


def test_only_what_the_target_reaches_is_needed():
    text = """
    FROM unused AS a
    FROM base AS b
    FROM b AS c
    FROM scratch AS d
    FROM scratch AS e
    COPY --from=c /x /
    COPY --from=other /y /
    RUN --mount=from=3,target=/m true
    """
    needs = needs_of(text)
    assert needs.stages == {1, 2, 3, 4}
    assert set(needs.images) == {BASE, OTHER}
    assert needs_of(text, target="a").stages == {0}


def test_an_image_is_needed_at_the_place_that_asks_for_it():
    text = "FROM scratch\nCOPY --from=other /y /\n"
    assert marked(text, needs_of(text).images[OTHER].span) == "other"


def test_an_image_is_needed_once_for_each_platform():
    text = "FROM --platform=linux/arm64 base AS a\nFROM base\nCOPY --from=a / /\n"
    assert set(needs_of(text, platform="linux/amd64").images) == {BASE, f"{BASE} linux/arm64"}


def test_a_later_stage_cannot_be_copied_from():
    text = "FROM scratch AS one\nCOPY --from=two a b\nFROM scratch AS two\n"
    error = refused(
        text, 'cannot copy from stage "two", it needs to be defined before current stage "one"', target="one"
    )
    assert marked(text, error.span) == "two"


def test_a_stage_cannot_be_copied_from_itself():
    refused("FROM scratch AS one\nCOPY --from=one a b\n", "circular dependency detected on stage: one")
    refused("FROM scratch\nRUN --mount=from=0,target=/m true\n", "circular dependency detected on stage: stage-0")


def test_a_later_stage_cannot_be_mounted():
    text = "FROM scratch AS one\nRUN --mount=from=1,target=/m true\nFROM scratch AS two\n"
    message = 'cannot mount from stage "1" to "/m", stage needs to be defined before current command'
    error = refused(text, message, target="one")
    assert marked(text, error.span) == "RUN --mount=from=1,target=/m true"[12:28]


def test_stages_that_need_each_other_are_a_circle_also_over_others():
    text = "FROM scratch AS a\nCOPY --from=c x x\nFROM a AS b\nFROM scratch AS c\nCOPY --from=b x x\n"
    assert marked(text, refused(text, "circular dependency detected on stage: a").span) == "c"


@pytest.mark.parametrize("index", ["-1", "2", "99"])
def test_an_index_that_is_not_of_an_earlier_stage_is_refused(index):
    text = f"FROM scratch\nFROM scratch\nCOPY --from={index} a b\n"
    error = refused(text, f"invalid stage index {index}")
    assert marked(text, error.span) == index
    assert "0 to 0" in error.hint


def test_only_scratch_in_small_letters_is_the_empty_image():
    assert outline_of("FROM scratch\n").sections[0].base == FromScratch()
    refused("FROM Scratch\n", 'failed to parse stage name "Scratch"')
    refused("FROM scratch\nCOPY --from=Scratch a b\n", 'failed to parse stage name "Scratch"')


def test_scratch_is_no_image():
    assert needs_of("FROM scratch\nCOPY --from=scratch a b\n").images == {}


def test_a_source_stage_may_be_chosen_by_a_global_argument():
    text = "ARG s=one\nFROM scratch AS one\nFROM scratch\nCOPY --from=$s a b\n"
    assert needs_of(text).stages == {0, 1}


def test_the_triggers_of_a_base_image_may_need_more_stages_and_images():
    text = "FROM scratch AS build\nFROM base\n"
    assert needs_of(text).stages == {1}
    triggers = ("COPY --from=build /a /", "COPY --from=other /b /")
    needs = needs_of(text, {BASE: base_config(on_build=triggers)})
    assert needs.stages == {0, 1}
    assert OTHER in needs.images


def test_the_triggers_of_a_base_stage_count_for_the_stage_on_it_alone():
    text = "FROM scratch AS a\nONBUILD COPY --from=other /b /\nFROM a AS b\nFROM b AS c\n"
    outline = outline_of(text)
    assert [len(outline.triggers(section, {})) for section in outline.sections] == [0, 1, 0]


def test_a_mistake_in_a_trigger_stands_at_the_from_that_brought_it():
    text = "FROM scratch\nFROM base\nRUN x\n"
    with pytest.raises(DockerfileError, match="ONBUILD") as caught:
        needs_of(text, {BASE: base_config(on_build=("ONBUILD RUN x",))})
    assert marked(text, caught.value.span).startswith("FROM base")


def test_global_arguments_are_those_before_the_first_from():
    dockerfile = parser.parse(source_of("ARG a\nARG b=1\nFROM scratch\nARG c\n"))
    assert [name for arg in global_arguments(dockerfile) for name, _ in arg.items] == ["a", "b"]


CONTEXTS = (("one", "/folder"), ("base", "docker-image://other"))


def test_a_named_context_stands_in_for_a_whole_stage():
    text = "FROM gone AS one\nRUN x\nFROM ONE AS two\nCOPY --from=one a /\nCOPY --from=0 a /\n"
    outline = outline_of(text, contexts=CONTEXTS)
    assert [(section.base, len(section.body)) for section in outline.sections] == [
        (FromContext("one"), 0),
        (FromStage(0), 2),
    ]
    assert dict(outline.needs({}).images) == {}


def test_a_named_context_stands_in_for_an_image():
    outline = outline_of("FROM base\nCOPY --from=docker.io/library/base:latest a /\n", contexts=CONTEXTS)
    assert outline.sections[0].base == FromImage(OTHER)
    assert set(outline.needs({}).images) == {OTHER}
    assert outline_of("FROM base:2\n", contexts=CONTEXTS).sections[0].base == FromImage("docker.io/library/base:2")


def test_a_stage_hides_the_context_that_is_called_like_its_base():
    outline = outline_of("FROM base AS x\nFROM x\n", contexts=(("x", "/folder"),))
    assert [section.base for section in outline.sections] == [FromContext("x"), FromStage(0)]
    assert outline_of("FROM scratch\n", contexts=(("y", "/folder"),)).sections[0].base == FromScratch()


def test_a_context_may_be_for_one_platform():
    contexts = (("base::linux/arm64", "/arm"), ("base", "/any"))
    text = "FROM base\nFROM --platform=linux/arm64 base\nFROM --platform=linux/386 base\n"
    outline = outline_of(text, contexts=contexts, platform="linux/amd64")
    assert [section.base for section in outline.sections] == [
        FromContext("base"), FromContext("base::linux/arm64"), FromContext("base"),
    ]  # fmt: skip


def test_the_triggers_of_an_image_do_not_run_where_it_stands_in_for_a_stage():
    outline = outline_of("FROM base AS one\nFROM base\n", contexts=(("one", "docker-image://base"),))
    configs = {BASE: base_config(on_build=("RUN x",))}
    assert [len(outline.triggers(section, configs)) for section in outline.sections] == [0, 1]


def test_a_build_context_from_elsewhere_is_what_a_copy_without_from_reads():
    outline = outline_of("FROM base\n", context="https://h.invalid/x.git#main")
    assert outline.input(None, 0) == FromRemote(GitSource(url="https://h.invalid/x.git", ref="main"), as_tree=True)
    assert outline_of("FROM base\n").input(None, 0) == FromContext()


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("biuld", 'did you mean the stage "build"?'),
        ("alpin", 'did you mean "alpine"?'),
        ("ubunut:22.04", 'did you mean "ubuntu:22.04"?'),
        ("something-else", ""),
    ],
)
def test_an_image_that_nobody_has_may_have_been_meant_to_be_another(name, hint):
    outline = outline_of(f"FROM scratch AS build\nFROM {name}\n")
    assert outline.similar(outline.sections[1].head.image) == hint


def test_an_image_in_place_of_a_stage_is_said_to_be_none():
    text = "FROM scratch AS build\nFROM scratch AS tools\nFROM scratch\nCOPY --from=libraries a b\n"
    outline = outline_of(text)
    word = outline.sections[2].body[0].from_
    assert (
        outline.similar(word) == 'no stage is called "libraries", so it is the name of an image; stages: build, tools'
    )


def test_a_variable_of_a_stage_names_no_source():
    text = "FROM scratch AS one\nFROM scratch\nARG s=one\nCOPY --from=$s a b\n"
    error = refused(text, "variable expansion is not supported for --from")
    assert marked(text, error.span) == "$s"
    assert "ARG s=... before the first FROM" in error.hint
    mounted = text.replace("COPY --from=$s a b", "RUN --mount=from=$s,target=/m true")
    refused(mounted, "'from' doesn't support variable expansion, define alias stage instead")


def test_a_global_argument_without_a_value_may_name_a_source():
    assert needs_of("ARG s\nFROM scratch AS one\nFROM scratch\nCOPY --from=${s:-one} a b\n").stages == {0, 1}


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("ARG t\nFROM base:$t\n", "base:$t is not a valid name of an image after its variables are expanded"),
        ("FROM Base\n", "write the name in lower case"),
        ("FROM base:a:b\n", "write it as NAME:TAG, HOST/NAME:TAG or NAME@DIGEST"),
        ("FROM oci-archive:/x/y.tar\n", "load it with pybuild load, or use a layout"),
    ],
)
def test_what_is_no_name_of_an_image_is_refused_with_a_way_out(text, hint):
    assert hint in refused(text, "failed to parse stage name").hint


def test_a_mistake_in_a_trigger_names_it():
    bases = {BASE: base_config(on_build=("COPY --from=7 a b",))}
    with pytest.raises(ResolveError, match="invalid stage index 7") as caught:
        needs_of("FROM base\n", bases)
    assert caught.value.hint == 'it is the ONBUILD trigger "COPY --from=7 a b" of the base; there is no earlier stage'
    bases = {BASE: base_config(on_build=("NOTHING\nx",))}
    with pytest.raises(DockerfileError) as unparsed:
        needs_of("FROM base\n", bases)
    assert unparsed.value.hint.startswith('it is the ONBUILD trigger "NOTHING" of the base')
