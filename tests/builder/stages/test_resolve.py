import pytest

from pybuild.builder.errors import ResolveError
from pybuild.builder.plan.ops import Copy, Run
from pybuild.builder.request import Planning
from pybuild.builder.stages.resolve import global_scope
from pybuild.builder.stages.stages import FromImage, FromScratch, FromStage
from pybuild.grammar.dockerfile import parser
from tests.helpers.resolving import BASE, PATH, after, base_config, marked, source_of, stage_of, stages_of


def scope_of(text, context, **request):
    return global_scope(parser.parse(source_of(text)), Planning(**request))


def names_of(stage):
    return [step.name for step in stage.steps]


def test_later_global_arguments_see_earlier_ones(tmp_path):
    scope = scope_of("ARG a=1\nARG b=${a}2\nARG c\nFROM scratch\nARG d=3\n", tmp_path)
    assert (scope["a"], scope["b"]) == ("1", "12")
    assert "c" not in scope
    assert "d" not in scope


def test_given_arguments_beat_global_defaults_and_platform_arguments(tmp_path):
    given = (("a", "x"), ("TARGETARCH", "mine"), ("undeclared", "x"))
    scope = scope_of("ARG a=1\nFROM scratch\n", tmp_path, build_args=given, target="0")
    assert (scope["a"], scope["TARGETARCH"], scope["TARGETSTAGE"]) == ("x", "mine", "0")
    assert "undeclared" not in scope


def test_scratch_gives_an_empty_config_for_the_platform_with_a_path():
    stage = stage_of("FROM scratch\n", platform="linux/arm/v7")
    assert (stage.config.os, stage.config.architecture, stage.config.variant) == ("linux", "arm", "v7")
    assert (stage.config.config.env, stage.config.config.working_dir) == ((PATH,), "/")
    assert stage.base == FromScratch()
    assert stage.config.history == ()


def test_the_platform_of_a_from_is_that_of_a_base_that_says_none():
    text = "FROM --platform=$BUILDPLATFORM folder\n"
    given = {"platform": "linux/s390x", "build_args": (("BUILDPLATFORM", "linux/riscv64"),)}
    assert stage_of(text, contexts=(("folder", "/here"),), **given).config.architecture == "riscv64"
    assert stage_of(text.replace("folder", "scratch"), **given).config.architecture == "s390x"


def test_arguments_that_speak_to_the_builder_are_no_variables():
    stage = after("ARG BUILDKIT_SBOM_SCAN_STAGE=true\nLABEL seen=$BUILDKIT_SBOM_SCAN_STAGE\n")
    assert dict(stage.config.config.labels) == {"seen": ""}
    assert stage.config.history[0].created_by == "ARG BUILDKIT_SBOM_SCAN_STAGE=true"


def test_one_reference_may_stand_for_two_platforms():
    text = "FROM --platform=linux/arm64 base AS a\nFROM base\nCOPY --from=a / /\n"
    bases = {BASE: base_config(user="own"), f"{BASE} linux/arm64": base_config(user="arm")}
    stages = stages_of(text, bases, platform="linux/amd64").stages
    assert [stage.base for stage in stages] == [FromImage(BASE, "linux/arm64"), FromImage(BASE)]
    assert [stage.config.config.user for stage in stages] == ["arm", "own"]


def test_a_wrong_platform_is_refused_where_it_stands():
    text = "FROM --platform=a/b/c/d scratch\n"
    with pytest.raises(ResolveError, match="failed to parse platform") as caught:
        stage_of(text)
    assert marked(text, caught.value.span) == "a/b/c/d"


def test_history_and_settings_of_the_base_are_kept_but_not_its_time():
    base = base_config(user="alice", cmd=("x",), working_dir="rel")
    stage = stage_of("FROM base\nENV a=1\n", {BASE: base})
    assert stage.base == FromImage(BASE)
    assert (stage.config.config.user, stage.config.config.cmd) == ("alice", ("x",))
    assert stage.config.config.working_dir == "/rel"
    assert stage.config.created == ""


def test_a_base_without_a_path_gets_one():
    assert stage_of("FROM base\n", {BASE: base_config(env=("A=1",))}).config.config.env == ("A=1", PATH)


def test_a_stage_on_a_stage_inherits_config_arguments_and_history():
    stage = stage_of("FROM base AS a\nARG x=1\nENV y=2\nUSER u\nFROM a\nRUN r\n")
    op = stage.steps[0].op
    assert isinstance(op, Run)
    assert op.env == (("PATH", "/bin"), ("x", "1"), ("y", "2"))
    assert op.user == "u"
    assert stage.base == FromStage(0)
    assert [entry.created_by for entry in stage.config.history][-1] == "RUN |1 x=1 /bin/sh -c r # buildkit"


def test_a_stage_does_not_change_the_one_it_starts_from():
    stages = stages_of("FROM base AS a\nENV x=1\nFROM a AS b\nENV x=2\nFROM a AS c\nCOPY --from=b / /\nLABEL l=$x\n")
    assert dict(stages.by_index(2).config.config.labels) == {"l": "1"}


def test_only_needed_stages_are_resolved_so_mistakes_in_others_do_not_matter():
    text = "FROM base AS broken\nSTOPSIGNAL nope\nFROM scratch\n"
    assert [stage.index for stage in stages_of(text).stages] == [1]
    with pytest.raises(ResolveError, match="invalid signal"):
        stages_of(text, target="broken")


def test_triggers_of_a_base_image_run_first_and_are_cleared():
    base = base_config(on_build=("RUN first", "ENV t=1"))
    stage = stage_of("FROM base\nRUN second $t\nONBUILD RUN own\n", {BASE: base})
    assert [step.op.args[-1] for step in stage.steps] == ["first", "second $t"]
    assert stage.steps[0].lines == (1, 1)
    assert ("t", "1") in stage.steps[1].op.env
    assert stage.config.config.on_build == ("RUN own",)


def test_the_step_of_a_trigger_is_named_as_one():
    assert names_of(stage_of("FROM base\n", {BASE: base_config(on_build=("RUN x",))})) == ["[2/2] ONBUILD RUN x"]


def test_triggers_of_a_base_stage_run_once():
    text = "FROM base AS a\nONBUILD RUN t\nFROM a AS b\nRUN x\nFROM b AS c\nRUN y\n"
    stages = stages_of(text)
    assert [[step.op.args[-1] for step in stage.steps] for stage in stages.stages] == [[], ["t", "x"], ["y"]]
    assert stages.by_index(2).config.config.on_build == ()


def test_triggers_are_expanded_where_they_run():
    base = base_config(env=("PATH=/bin", "d=/img"), on_build=("COPY f $d/",))
    op = stage_of("FROM base\n", {BASE: base}).steps[0].op
    assert isinstance(op, Copy)
    assert op.destination == "/img/"


def test_steps_are_numbered_within_their_stage_the_base_being_the_first():
    stages = stages_of("FROM base AS a\nRUN x\nFROM scratch\nWORKDIR /w\nCOPY --from=a a b\nENV c=1\n")
    first, second = stages.stages
    assert first.base_name == "[a 1/2] FROM docker.io/library/base:latest"
    assert names_of(first) == ["[a 2/2] RUN x"]
    assert names_of(second) == ["[stage-1 1/2] WORKDIR /w", "[stage-1 2/2] COPY --from=a a b"]


def test_a_single_stage_without_a_name_is_not_named():
    assert names_of(stage_of("FROM base\nRUN x\n")) == ["[2/2] RUN x"]


def test_numbers_are_as_wide_as_the_last_one():
    stage = stage_of("FROM base\n" + "RUN x\n" * 9)
    assert stage.base_name.startswith("[ 1/10] ")
    assert names_of(stage)[-1] == "[10/10] RUN x"


@pytest.mark.parametrize(
    "name", ["HTTP_PROXY", "no_proxy", "BUILDKIT_INLINE_CACHE", "SOURCE_DATE_EPOCH", "declared", "TARGETARCH"]
)
def test_a_given_argument_that_means_something_is_no_reason_to_warn(name):
    assert stages_of("FROM base\nARG declared\n", build_args=((name, "1"),)).warnings == ()


def test_an_argument_that_a_trigger_declares_is_no_reason_to_warn():
    bases = {BASE: base_config(on_build=("ARG x",))}
    assert stages_of("FROM base\n", bases, build_args=(("x", "1"),)).warnings == ()


def test_a_given_argument_that_nobody_declares_is_worth_a_warning():
    stages = stages_of("FROM base\nARG a\n", build_args=(("a", "1"), ("b", "1"), ("c", "1")))
    assert stages.warnings == (("one or more build arguments were not consumed: b, c", 0),)


def test_a_mistake_in_an_instruction_stands_at_the_word():
    text = "FROM base\nEXPOSE 99999\n"
    with pytest.raises(ResolveError, match="invalid containerPort") as caught:
        stage_of(text)
    assert marked(text, caught.value.span) == "99999"


def test_names_of_steps_have_the_values_of_variables_as_in_buildkit():
    text = """\
ARG BASE=base
FROM ${BASE} AS first
ENV FOO=bar OUT=/out
ARG X=1
RUN echo $FOO ${X} "$OUT" $UNSET '${FOO}' \\$FOO ${NONE:-none}
WORKDIR ${OUT}
COPY d/$X* ${OUT}/
RUN echo "
FROM $BASE-x AS $X
"""
    stage = stage_of(text.rsplit("FROM", 1)[0])
    assert stage.base_name == "[first 1/5] FROM docker.io/library/base:latest"
    assert names_of(stage) == [
        "[first 2/5] RUN echo bar 1 \"/out\" $UNSET '${FOO}' $FOO none",
        "[first 3/5] WORKDIR /out",
        "[first 4/5] COPY d/1* /out/",
        '[first 5/5] RUN echo "',
    ]


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("ENV DATA=/d\nFROM base\nVOLUME $DATA\n", "ARG and ENV of other stages do not reach it"),
        ("FROM base\nARG LOCATION=/d\nVOLUME a $LOCATIONS\n", "did you mean $LOCATION?"),
        ("FROM base\nSTOPSIGNAL $WITH\n", "$WITH is not set in this stage"),
        ("FROM base\nARG WITH=nope\nSTOPSIGNAL $WITH\n", "use a name such as SIGTERM"),
    ],
)
def test_an_error_about_a_variable_that_is_not_set_says_so(text, hint):
    with pytest.raises(ResolveError) as caught:
        stages_of(f"FROM base\n{text}")
    assert hint in caught.value.hint
