from dataclasses import replace
from pathlib import Path

from pybuild.builder.content.context import with_surroundings
from pybuild.builder.definition.epoch import with_epoch
from pybuild.builder.plan.plan import Definition
from pybuild.builder.progress import silent
from pybuild.builder.reporter import Reporter
from pybuild.builder.request import Request
from pybuild.builder.sources.pins import Remotes
from pybuild.builder.store.store import Store
from tests.helpers.repositories import MOMENT, Repository, daemon
from tests.helpers.web import MTIME, Web


def settled(store: Store, request: Request, text: str = "FROM scratch\n") -> Request:
    reporter = Reporter(silent)
    definition = with_surroundings(Definition("Dockerfile", text), request.files, ignored="")
    remotes, given = Remotes(request.execution, store, reporter), request.execution.source_date_epoch
    planning, seconds = with_epoch(definition, request.planning, given, remotes, request.caches)
    return replace(request, planning=planning, execution=replace(request.execution, source_date_epoch=seconds))


def asked(value: str, context: Path | str = Path()) -> Request:
    return Request.of(context=context, build_args=(("a", "b"), ("SOURCE_DATE_EPOCH", value)))


def test_a_number_is_the_time_and_nothing_else_changes(store: Store) -> None:
    found = settled(store, asked("12"))
    assert (found.execution.source_date_epoch, found.planning.build_args) == (12, asked("12").planning.build_args)
    assert settled(store, asked("")).execution.source_date_epoch is None
    given = Request.of(context=Path(), source_date_epoch=3)
    assert settled(store, given, "ARG SOURCE_DATE_EPOCH=4\nFROM scratch\n") == given


def test_the_default_of_a_global_argument_is_as_if_given(store: Store) -> None:
    found = settled(store, Request.of(context=Path()), "ARG SOURCE_DATE_EPOCH=4\nFROM scratch\n")
    assert (found.execution.source_date_epoch, found.planning.build_args) == (4, (("SOURCE_DATE_EPOCH", "4"),))
    later = Request.of(context=Path())
    assert settled(store, later, "FROM scratch\nARG SOURCE_DATE_EPOCH=4\n") == later


def test_a_directory_has_no_time_and_stages_see_none(store: Store) -> None:
    found = settled(store, asked("context"))
    assert (found.execution.source_date_epoch, dict(found.planning.build_args)["SOURCE_DATE_EPOCH"]) == (None, "")


def test_a_file_of_the_web_is_as_old_as_its_server_says(store: Store) -> None:
    with Web() as web:
        web.files["/x.tar"] = b"x"
        text = f"FROM scratch AS src\nADD {web.url('/x.tar')} /\nFROM scratch\n"
        found = settled(store, asked("src"), text)
    assert (found.execution.source_date_epoch, dict(found.planning.build_args)["SOURCE_DATE_EPOCH"]) == (
        MTIME,
        str(MTIME),
    )


def test_a_repository_is_as_old_as_its_commit(store: Store, tmp_path: Path) -> None:
    Repository(tmp_path / "served").commit({"a": "a"})
    with daemon(tmp_path / "served") as address:
        assert settled(store, asked("context", f"{address}/x.git")).execution.source_date_epoch == MOMENT
