from pathlib import Path

import pytest

from pybuild.builder.errors import ResolveError
from pybuild.builder.oci.model import Healthcheck
from pybuild.builder.plan.ops import Mkdir, Run
from tests.helpers.resolving import after, config_after, history_of, marked, stage_of, step_of

PREFIX = "FROM base\n"


@pytest.mark.parametrize(
    ("instruction", "history"),
    [
        ("RUN echo hi", "RUN /bin/sh -c echo hi # buildkit"),
        ('RUN ["echo", "a b"]', "RUN echo a b # buildkit"),
        ("COPY a b /c/", "COPY a b /c/ # buildkit"),
        ("COPY --chown=1:2 --chmod=0644 --link a /c", "COPY --chown=1:2 --chmod=0644 a /c # buildkit"),
        ("COPY --from=other a .", "COPY a . # buildkit"),
        ("ADD a.tar /", "ADD a.tar / # buildkit"),
        ("COPY <<EOF /f\nx\nEOF\n", "COPY <<EOF /f # buildkit"),
        ("COPY <<EOF a /d/\nx\nEOF\n", "COPY a <<EOF /d/ # buildkit"),
        ("WORKDIR /a", "WORKDIR /a"),
        ("WORKDIR a", "WORKDIR /a"),
        ("WORKDIR /", "WORKDIR /"),
        ("ENV a=1 b='x y'", "ENV a=1 b=x y"),
        ("ENV a b c", "ENV a=b c"),
        ("LABEL a=1 b=2", "LABEL a=1 b=2"),
        ("ARG a", "ARG a"),
        ("ARG a=1 b c=", "ARG a=1 b c="),
        ("CMD x y", 'CMD ["/bin/sh" "-c" "x y"]'),
        ('CMD ["x", "y\\"z"]', r'CMD ["x" "y\"z"]'),
        ('ENTRYPOINT ["x"]', 'ENTRYPOINT ["x"]'),
        ("ENTRYPOINT x", 'ENTRYPOINT ["/bin/sh" "-c" "x"]'),
        ("ENTRYPOINT []", "ENTRYPOINT []"),
        ("EXPOSE 80 1234/udp", "EXPOSE [1234/udp 80/tcp]"),
        ('VOLUME ["/data", "/b"]', "VOLUME [/data /b]"),
        ("USER alice:staff", "USER alice:staff"),
        ("STOPSIGNAL SIGTERM", "STOPSIGNAL SIGTERM"),
        ('SHELL ["/bin/bash", "-c"]', "SHELL [/bin/bash -c]"),
        ("MAINTAINER me <x@y>", "MAINTAINER me <x@y>"),
        (
            "HEALTHCHECK --interval=30s CMD x",
            "HEALTHCHECK {Test:[CMD-SHELL x] Interval:30s Timeout:0s StartPeriod:0s StartInterval:0s Retries:0}",
        ),
        (
            "HEALTHCHECK NONE",
            "HEALTHCHECK {Test:[NONE] Interval:0s Timeout:0s StartPeriod:0s StartInterval:0s Retries:0}",
        ),
    ],
)
def test_the_history_of_each_instruction_reads_as_buildkit_writes_it(instruction, history):
    texts = {"docker.io/library/other:latest": after("").config}
    stage = stage_of(PREFIX + instruction, texts)
    assert [entry.created_by for entry in stage.config.history] == [history]
    assert {entry.comment for entry in stage.config.history} == {"buildkit.dockerfile.v0"}


@pytest.mark.parametrize(
    ("instruction", "has_layer"),
    [
        ("RUN x", True),
        ("COPY a /", True),
        ("ADD a /", True),
        ("WORKDIR /a", True),
        ("WORKDIR /", False),
        ("ENV a=1", False),
        ("ARG a", False),
        ("CMD x", False),
        ("USER x", False),
        ("EXPOSE 1", False),
    ],
)
def test_an_instruction_has_a_layer_exactly_when_it_has_a_step(instruction, has_layer):
    stage = after(instruction)
    assert [not entry.empty_layer for entry in stage.config.history] == [has_layer]
    assert len(stage.steps) == has_layer


def test_onbuild_leaves_no_history_and_keeps_the_text_of_its_trigger():
    stage = after("ONBUILD RUN echo $X\nONBUILD COPY . /app\n")
    assert stage.config.history == ()
    assert stage.config.config.on_build == ("RUN echo $X", "COPY . /app")


def test_env_changes_the_config_in_place_and_sees_only_values_from_before():
    config = config_after("ENV a=1\nENV a=2 b=$a c=${PATH}\n")
    assert config.env == ("PATH=/bin", "a=2", "b=1", "c=/bin")


def test_arg_is_no_part_of_the_config():
    assert config_after("ARG a=1\n").env == ("PATH=/bin",)


@pytest.mark.parametrize(
    ("instructions", "value"),
    [
        ("ARG a=1\nENV a=2\n", "2"),
        ("ENV a=1\nARG a=2\n", "2"),
        ("ARG a=1\nARG a\n", "1"),
        ("ARG a=1\nARG a=$a$a\n", "11"),
        ("ARG b=x\nARG a=$b\n", "x"),
    ],
)
def test_of_arg_and_env_the_later_one_wins(instructions, value):
    op = step_of(instructions + "RUN x\n").op
    assert isinstance(op, Run)
    assert dict(op.env)["a"] == value


def test_an_arg_after_env_leaves_the_config_as_env_made_it():
    assert "a=1" in config_after("ENV a=1\nARG a=2\nLABEL x=$a\n").env


@pytest.mark.parametrize(
    ("instruction", "given", "value"),
    [("ARG a=own", {}, "own"), ("ARG a", {}, "global"), ("ARG a=own", {"a": "given"}, "given"), ("ARG a=", {}, "")],
)
def test_a_given_argument_beats_the_default_and_the_default_beats_the_global_one(instruction, given, value):
    text = f"ARG a=global\nFROM base\n{instruction}\nLABEL l=$a\n"
    assert stage_of(text, build_args=tuple(given.items())).config.config.labels == (("l", value),)


def test_a_global_argument_is_not_seen_in_a_stage_that_does_not_declare_it():
    assert stage_of("ARG a=1\nFROM base\nLABEL l=[$a]\n").config.config.labels == (("l", "[]"),)


def test_platform_arguments_are_seen_where_they_are_declared():
    text = "FROM base\nLABEL a=[$TARGETARCH]\nARG TARGETARCH TARGETSTAGE\nLABEL b=$TARGETARCH/$TARGETSTAGE\n"
    labels = dict(stage_of(text, platform="linux/arm64").config.config.labels)
    assert labels == {"a": "[]", "b": "arm64/default"}


def test_arguments_that_were_declared_stand_before_the_command_in_the_history():
    history = history_of("ARG b=1 a=2\nRUN x\nARG b=3\nENV a=4\nRUN y\n")
    assert "RUN |2 b=1 a=2 /bin/sh -c x # buildkit" in history
    assert history[-1] == "RUN |2 b=3 a=4 /bin/sh -c y # buildkit"


def test_an_argument_without_a_value_stands_in_the_history_as_an_empty_one():
    assert history_of("ARG a\nARG b=1\nARG b\nRUN x\n")[-1] == "RUN |2 a= b=1 /bin/sh -c x # buildkit"


def test_labels_of_the_base_are_kept_and_later_ones_win():
    config = config_after("LABEL a=2 c=3\n", labels=(("a", "1"), ("b", "1")))
    assert dict(config.labels) == {"a": "2", "b": "1", "c": "3"}


def test_a_label_whose_name_expands_to_nothing_has_an_empty_name():
    assert dict(config_after("LABEL $nothing=1 a=2\n").labels) == {"": "1", "a": "2"}


def test_a_variable_whose_name_expands_to_nothing_is_refused():
    text = "FROM base\nENV a=1 $nothing=1\n"
    with pytest.raises(ResolveError, match="names can not be blank") as caught:
        stage_of(text)
    assert marked(text, caught.value.span) == "$nothing"


def test_workdir_is_relative_to_the_one_before_and_expands_variables():
    stage = after("WORKDIR /a\nWORKDIR b/../c\nENV d=deep\nWORKDIR $d\n")
    assert stage.config.config.working_dir == "/a/c/deep"
    assert [step.op for step in stage.steps] == [Mkdir(path="/a"), Mkdir(path="/a/c"), Mkdir(path="/a/c/deep")]


def test_a_workdir_is_made_for_the_user_of_that_moment():
    assert step_of("USER alice\nWORKDIR /a\nUSER bob\n").op == Mkdir(path="/a", user="alice")


def test_cmd_says_that_its_arguments_are_escaped():
    config = config_after('CMD ["a"]\n')
    assert config.cmd == ("a",)
    assert config.args_escaped


def test_entrypoint_takes_the_inherited_cmd_away_but_not_the_stages_own():
    assert config_after('ENTRYPOINT ["e"]\n', cmd=("inherited",)).cmd is None
    assert config_after('CMD ["own"]\nENTRYPOINT ["e"]\n', cmd=("inherited",)).cmd == ("own",)


def test_a_cmd_of_the_stage_below_counts_as_inherited():
    text = 'FROM base AS a\nCMD ["below"]\nFROM a\nENTRYPOINT ["e"]\n'
    assert stage_of(text).config.config.cmd is None


def test_an_empty_entrypoint_is_no_entrypoint():
    stage = after("ENTRYPOINT []\n", {"entrypoint": ("x",)})
    assert not stage.config.config.entrypoint
    assert b'"Entrypoint":["' not in stage.config.to_json()


def test_shell_counts_for_all_that_follow():
    stage = after('SHELL ["/bin/bash", "-ec"]\nRUN a\nCMD b\n')
    op = stage.steps[0].op
    assert isinstance(op, Run)
    assert op.args == ("/bin/bash", "-ec", "a")
    assert stage.config.config.cmd == ("/bin/bash", "-ec", "b")


def test_exposed_ports_add_up_and_a_variable_may_hold_several():
    config = config_after('ENV p="80 81/udp"\nEXPOSE $p 9000-9001\n', exposed_ports=("22/tcp",))
    assert config.exposed_ports == ("22/tcp", "80/tcp", "81/udp", "9000/tcp", "9001/tcp")


def test_a_port_that_is_none_is_marked():
    text = "FROM base\nEXPOSE 80 99999/tcp 81\n"
    with pytest.raises(ResolveError, match="invalid containerPort: 99999") as caught:
        stage_of(text)
    assert marked(text, caught.value.span) == "99999/tcp"


def test_volumes_add_up():
    assert config_after("ENV v=/x\nVOLUME $v /y\n", volumes=("/z",)).volumes == ("/x", "/y", "/z")


def test_a_volume_cannot_expand_to_nothing():
    text = "FROM base\nVOLUME /a $nothing\n"
    with pytest.raises(ResolveError, match="VOLUME specified can not be an empty string") as caught:
        stage_of(text)
    assert marked(text, caught.value.span) == "$nothing"


def test_the_user_is_stored_as_it_is_written():
    assert config_after("ENV u=1000\nUSER $u:staff\n").user == "1000:staff"


def test_a_stop_signal_is_checked_after_expansion():
    assert config_after("ENV s=TERM\nSTOPSIGNAL SIG$s\n").stop_signal == "SIGTERM"
    text = "FROM base\nSTOPSIGNAL SIGNOPE\n"
    with pytest.raises(ResolveError, match="invalid signal: SIGNOPE") as caught:
        stage_of(text)
    assert marked(text, caught.value.span) == "SIGNOPE"


def test_a_healthcheck_replaces_the_whole_inherited_one():
    inherited = Healthcheck(test=("CMD", "old"), retries=9)
    config = config_after("HEALTHCHECK --timeout=2s CMD new $x\n", healthcheck=inherited)
    assert config.healthcheck == Healthcheck(test=("CMD-SHELL", "new $x"), timeout=2_000_000_000)


def test_the_maintainer_becomes_the_author():
    assert after("MAINTAINER me\n").config.author == "me"


def test_command_texts_are_left_to_the_shell():
    config = config_after('ENV a=1\nCMD ["$a"]\nENTRYPOINT $a\nHEALTHCHECK CMD $a\n')
    assert config.cmd == ("$a",)
    assert config.entrypoint == ("/bin/sh", "-c", "$a")
    assert config.healthcheck is not None
    assert config.healthcheck.test == ("CMD-SHELL", "$a")


def test_a_step_knows_its_lines():
    stage = stage_of("FROM base\nENV a=1\nRUN a \\\n  b \\\n  c\n")
    assert stage.steps[0].lines == (3, 5)


def test_labels_of_the_request_come_last_and_without_history():
    stage = stage_of("FROM base\nLABEL a=1 b=1\n", labels=(("a", "2"),))
    assert dict(stage.config.config.labels) == {"a": "2", "b": "1"}
    assert len(stage.config.history) == 1


def test_variables_of_the_host_are_never_used(monkeypatch):
    monkeypatch.setenv("FROM_HOST", str(Path.cwd()))
    assert config_after("ENV a=[$FROM_HOST]\n").env[-1] == "a=[]"
