"""The session of a command is that of the thread and context that began it."""

from contextvars import copy_context

from pybuild.builder.cli.session import Tools, begin, session


def test_a_session_has_neither_a_store_nor_replacements_at_first() -> None:
    begun = begin(Tools())
    assert session() is begun
    assert (begun.root, begun.opened, begun.tools.open_store, begun.tools.build) == (None, None, None, None)


def test_a_second_command_does_not_inherit_the_store_of_the_first() -> None:
    begin(Tools()).root = "/one"
    assert begin(Tools()).root is None


def test_a_session_that_begins_in_another_context_leaves_this_one_alone() -> None:
    mine = begin(Tools())
    copy_context().run(begin, Tools())
    assert session() is mine
