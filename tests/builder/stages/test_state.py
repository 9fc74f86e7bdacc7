from pybuild.builder.oci.model import ContainerConfig, ImageConfig
from pybuild.builder.stages.state import COMMENT, StageState
from pybuild.grammar.nodes import Word
from pybuild.grammar.source import Span


def start(*env):
    return StageState(ImageConfig(architecture="amd64", os="linux", config=ContainerConfig(env=env)), "\\")


def test_a_stage_begins_with_the_variables_of_its_image():
    assert start("A=1", "B=2").scope == {"A": "1", "B": "2"}


def test_words_are_expanded_with_the_scope():
    state = start("A=1")
    assert state.expand(Word("x${A}y$B", Span(0, 0))) == "x1y"


def test_a_copy_inherits_scope_and_arguments_but_shares_nothing():
    state = start("A=1")
    state.arguments["A"] = "1"
    state.cmd_is_set = True
    other = state.copy()
    other.scope["A"] = "2"
    other.arguments["B"] = "2"
    assert (state.scope, state.arguments) == ({"A": "1"}, {"A": "1"})
    assert other.steps == []
    assert not other.cmd_is_set


def test_history_entries_carry_buildkits_comment_and_no_time():
    state = start()
    state.record("ENV a=1")
    state.record("RUN x", layer=True)
    assert [(e.created_by, e.empty_layer, e.comment, e.created) for e in state.finished().history] == [
        ("ENV a=1", True, COMMENT, ""),
        ("RUN x", False, COMMENT, ""),
    ]


def test_an_argument_is_used_with_the_value_that_it_has_by_now():
    state = start()
    state.arguments = {"b": "1", "a": "1"}
    state.scope = {"a": "2"}
    assert list(state.used_arguments().items()) == [("b", "1"), ("a", "2")]


def test_a_finished_config_has_the_labels_and_entries_of_all_stages_below_sorted_by_name():
    below = start()
    below.labels.update(b="1", a="1")
    below.record("LABEL b=1 a=1")
    state = below.copy()
    state.labels.update(b="2")
    state.record("LABEL b=2")
    finished = state.finished()
    assert finished.config.labels == (("a", "1"), ("b", "2"))
    assert [entry.created_by for entry in finished.history] == ["LABEL b=1 a=1", "LABEL b=2"]
    assert below.finished().config.labels == (("a", "1"), ("b", "1"))
