"""``build --check`` and ``build --call``: questions about a Dockerfile that are answered without building it."""

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pybuild.builder.checks import parameters, subrequests, targets
from pybuild.builder.checks.base_configs import BaseConfigs
from pybuild.builder.checks.check import CheckReport, check, refuse_mistakes
from pybuild.builder.cli.failures import described
from pybuild.builder.cli.flags.report import ReportFlags
from pybuild.builder.cli.format.listing import table
from pybuild.builder.cli.tools import put, store, warn
from pybuild.builder.content.context import with_surroundings
from pybuild.builder.definition.load import load_definition
from pybuild.builder.display.sanitize import clean, clean_line
from pybuild.builder.errors import BuildError, RequestError
from pybuild.builder.options import boolean
from pybuild.builder.plan.plan import Definition
from pybuild.builder.progress import silent
from pybuild.builder.reporter import Reporter
from pybuild.builder.request import Request
from pybuild.builder.sources.pins import Remotes
from pybuild.builder.stages.resolve import outline_of
from pybuild.builder.store.store import Store
from pybuild.grammar.errors import DockerfileError
from pybuild.grammar.suggest import did_you_mean

_DESCRIBE = "subrequests.describe"
_METHODS = ("build", "check", "lint", "outline", "targets", _DESCRIBE)
_TEXT, _JSON = "text", "json"
_FORMATS = {
    "check": (_TEXT, _JSON, "sarif", "junit"),
    "outline": (_TEXT, _JSON),
    "targets": (_TEXT, _JSON),
    _DESCRIBE: (_TEXT, _JSON),
}
_IMAGE_FORMATS = frozenset({"oci", "docker"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A question about a Dockerfile. *method* is one of `_FORMATS`; with *ignore_status* warnings are no failure."""

    method: str
    format: str = _TEXT
    ignore_status: bool = False


def call_of(report: ReportFlags) -> Question | None:
    """Return what ``--call``, ``--check`` and ``--format`` ask for, None for a build. Raises RequestError."""
    name, *options = (report.call or report.older_call or "").split(",")
    method = name.strip() or ("check" if report.check else "build")
    if method not in _METHODS:
        hint = did_you_mean(method, _METHODS) or f"use one of {', '.join(_METHODS)}"
        raise RequestError(f"--call: unknown method {method!r}", hint=hint)
    method = "check" if method == "lint" else method
    if report.check and method != "check":
        raise RequestError(f"--check and --call={method} exclude each other")
    given = dict(_option(item) for item in options)
    form = report.output_format or given.get("format") or _TEXT
    if method == "build":
        if given or report.output_format not in {None, "", *_IMAGE_FORMATS}:
            raise RequestError(
                f"unknown --format {form!r}", hint="use oci or docker; others are for --check and --call"
            )
        return None
    if form not in _FORMATS[method]:
        hint = did_you_mean(form, _FORMATS[method]) or f"use one of {', '.join(_FORMATS[method])}"
        raise RequestError(f"--call={method}: unknown format {form!r}", hint=hint)
    return Question(method=method, format=form, ignore_status=_ignores(given.get("ignorestatus")))


def _option(item: str) -> tuple[str, str]:
    name, _, value = item.partition("=")
    if name == "ignorestatus":
        return name, value
    if name != "format":
        raise RequestError(f"--call: invalid option {item!r}", hint="the options are format and ignorestatus")
    return name, value


def _ignores(text: str | None) -> bool:
    """Return the value of ``ignorestatus``, which is true when it has none."""
    return text is not None and (text == "" or boolean("ignorestatus", text, "--call"))


def answer(call: Question, request: Request, path: str) -> int:
    """Print the answer on standard output and return the exit code; *path* names the Dockerfile in a report."""
    if call.method == _DESCRIBE:
        put(_described(as_json=call.format == _JSON))
        return 0
    opened = store()
    try:
        with _told():
            remotes = Remotes(request.execution, opened, Reporter(silent))
            file = load_definition(request.files, request.planning, remotes, request.caches)
            with file.located():
                if call.method == "check":
                    return _check(call, check(file, request, opened), path)
                put(_ANSWERS[call.method](file, request, opened, as_json=call.format == _JSON))
    finally:
        opened.close()
    return 0


def dockerfile_path(request: Request) -> str:
    """Return how the user finds the Dockerfile of *request*, from where the command runs."""
    named, context = request.files.dockerfile, request.files.context
    if named is not None and str(named) != "-":
        return named.as_posix()
    if named is not None or not isinstance(context, Path) or str(context) == "-":
        return "Dockerfile"
    lower = (context / "dockerfile").is_file() and not (context / "Dockerfile").is_file()
    return os.path.normpath(context / ("dockerfile" if lower else "Dockerfile"))


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except (BuildError, DockerfileError) as error:
        raise described(error) from error


def _check(call: Question, report: CheckReport, path: str) -> int:
    put(_write(report, call.format, path))
    for note in report.missing if call.format == _TEXT else report.notes:
        warn(note)
    if report.error is not None:
        raise report.error
    if report.refusal:
        raise BuildError(report.refusal)
    return 1 if report.violations and not call.ignore_status else 0


def _write(report: CheckReport, form: str, path: str) -> str:
    from pybuild.builder.checks import junit, sarif
    from pybuild.builder.checks import report as buildkit

    if form == "junit":
        return junit.document(report, path)
    if form == _TEXT:
        return buildkit.text(report)
    return _json(sarif.document(report, path) if form == "sarif" else buildkit.document(report))


def _json(document: Mapping[str, Any] | Sequence[Any]) -> str:
    return json.dumps(document, indent=2) + "\n"


def _described(*, as_json: bool) -> str:
    if as_json:
        return _json(subrequests.document())
    return _table("NAME", "VERSION", "DESCRIPTION", rows=subrequests.rows())


def _targets(file: Definition, _request: Request, _store: Store, *, as_json: bool) -> str:
    found = targets.targets(file.parsed())
    if as_json:
        return _json(targets.document(found, file.source))
    return _table("TARGET", "DESCRIPTION", rows=[[target.title, target.description] for target in found])


def _outline(file: Definition, request: Request, opened: Store, *, as_json: bool) -> str:
    source = file.source
    dockerfile = file.parsed()
    outline = outline_of(with_surroundings(file, request.files, ignored=""), request.planning)
    known = BaseConfigs(planning=request.planning, pull=request.caches.pull, store=opened)
    known.look_up(outline, every_stage=False)
    refuse_mistakes(file, outline, known, request)
    for note in known.missing.values():
        warn(f"{note}; arguments of its triggers are not listed")
    found = parameters.parameters(dockerfile, outline, request.planning, known.configs)
    return _json(parameters.document(found, source)) if as_json else _outline_text(found)


def _outline_text(found: parameters.Parameters) -> str:
    blocks: list[str] = []
    if found.target or found.description:
        lines = [f"TARGET:      {found.target or '(default)'}"]
        lines += [f"DESCRIPTION: {clean_line(found.description)}"] if found.description else []
        blocks.append("\n".join(lines) + "\n")
    if found.arguments:
        rows = [[item.name, item.value, item.description] for item in found.arguments]
        blocks.append(_table("BUILD ARG", "VALUE", "DESCRIPTION", rows=rows))
    for title, accesses in (("SECRET", found.secrets), ("SSH", found.agents)):
        if accesses:
            rows = [[access.name, "true" if access.required else ""] for access in accesses]
            blocks.append(_table(title, "REQUIRED", rows=rows))
    return "\n".join(blocks)


def _table(*titles: str, rows: list[list[str]]) -> str:
    text = table([list(titles), *([clean_line(cell) for cell in row] for row in rows)])
    return clean("\n".join(line.rstrip() for line in text.split("\n"))) + "\n"


_ANSWERS: Mapping[str, Callable[..., str]] = {"targets": _targets, "outline": _outline}
