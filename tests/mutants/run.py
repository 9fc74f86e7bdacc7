"""Runs the test of a mutant and judges what came out."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from xml.etree import ElementTree as ET

from tests.mutants.mutant import Mutant
from tests.mutants.tree import Copy, EditDoesNotApply

# What a test says that has looked at something and found it otherwise.
_FOUND_OUT = re.compile(r"AssertionError|assert |Failed: DID NOT RAISE|Failed: Timeout")
_ERROR = re.compile(r"^E +(.*)", re.MULTILINE)
_CUT_SHORT = "full report in element text"
_BACKSTOP = 30
_CONFINE = Path(__file__).with_name("confine.sh")
_OUTPUT_LINES = 15


class Verdict(Enum):
    """What became of a mutant. Only the first is a success."""

    KILLED = "killed"
    SURVIVED = "survived"
    STALE = "the edit does not apply"
    ELSEWHERE = "failed for another reason"
    NEVER_PASSED = "the test fails without the edit"
    HUNG = "did not end"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The verdict on one mutant, and why."""

    mutant: Mutant
    verdict: Verdict
    why: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Case:
    """One test of a run. *kind* is "", "failure" (in the test) or "error" (around it)."""

    name: str
    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Ran:
    """What pytest did; *ended* is False when it had to be killed."""

    ended: bool
    cases: tuple[Case, ...]
    output: str


def judge(copy: Copy, mutant: Mutant) -> Outcome:
    """Make *mutant* in *copy*, run its test, and say what came of it."""
    begin = time.monotonic()
    try:
        with copy.mutated(mutant):
            ran = pytest(copy, [mutant.test], "-x", f"--timeout={mutant.limit}", limit=mutant.limit)
    except EditDoesNotApply as error:
        return Outcome(mutant=mutant, verdict=Verdict.STALE, why=str(error))
    verdict, why = verdict_on(mutant, ran)
    return Outcome(mutant=mutant, verdict=verdict, why=why, seconds=time.monotonic() - begin)


def verdict_on(mutant: Mutant, ran: Ran) -> tuple[Verdict, str]:
    """Return what the outcome of its test means for *mutant*, and why."""
    if not ran.ended:
        return Verdict.HUNG, ran.output
    failed = [case for case in ran.cases if case.kind == "failure"]
    for case in failed:
        if re.search(mutant.says, case.text) if mutant.says else _FOUND_OUT.match(case.text):
            return Verdict.KILLED, case.text.partition("\n")[0]
    if failed:
        return Verdict.ELSEWHERE, failed[0].text
    if not ran.cases or any(case.kind for case in ran.cases):
        return Verdict.ELSEWHERE, next((case.text for case in ran.cases if case.kind), ran.output)
    return Verdict.SURVIVED, ""


def never_passing(copy: Copy, mutants: Sequence[Mutant], jobs: int) -> dict[str, str]:
    """Return the tests of *mutants* that do not pass in *copy* as it is, with what they say."""
    tests = sorted({mutant.test for mutant in mutants})
    limit = max(mutant.limit for mutant in mutants)
    parallel = (f"--numprocesses={jobs}", "--dist=loadgroup") if jobs > 1 else ()
    ran = pytest(copy, tests, f"--timeout={limit}", *parallel, limit=limit * len(tests))
    if parallel and not ran.cases:
        # What keeps all from running, such as a test that is not there, is said by one process only.
        ran = pytest(copy, tests, f"--timeout={limit}", limit=limit * len(tests))
    return {test: why for test in tests if (why := _complaint(test, ran)) is not None}


def _complaint(test: str, ran: Ran) -> str | None:
    cases = [case for case in ran.cases if _belongs(case.name, test)]
    if not cases:
        return ran.output or "no such test"
    return next((case.text for case in cases if case.kind), None)


def _belongs(name: str, test: str) -> bool:
    path, _, function = test.partition("::")
    module = "tests." + path.removesuffix(".py").replace("/", ".")
    if "[" in function:
        return name == f"{module}::{function}"
    return name.partition("[")[0] == f"{module}::{function}" or (not function and name.startswith(f"{module}::"))


def pytest(copy: Copy, tests: Sequence[str], *options: str, limit: int) -> Ran:
    """Run *tests*, names below tests/, in *copy*; kill what has not ended some time after *limit* seconds."""
    report = copy.root.parent / "report.xml"
    report.unlink(missing_ok=True)
    shutil.rmtree(copy.scratch, ignore_errors=True)
    own = ("-q", "-p", "no:randomly", f"--junitxml={report}", f"--basetemp={copy.scratch}")
    words = [sys.executable, "-m", "pytest", *own, *options, *(f"tests/{test}" for test in tests)]
    with subprocess.Popen(
        [*_confined(copy), *words],
        cwd=copy.root,
        env=_environment(copy),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    ) as process:
        try:
            output, _ = process.communicate(timeout=limit + _BACKSTOP)
            ended = True
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            output, _ = process.communicate()
            ended = False
    last = "\n".join(output.splitlines()[-_OUTPUT_LINES:])
    return Ran(ended, tuple(_cases(report)), last)


def _confined(copy: Copy) -> tuple[str, ...]:
    """What a mutant leaves running, or mounted, ends with the namespaces of its test; it writes to its copy only."""
    if os.geteuid() != 0:
        return ()
    namespaces = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
    return (*namespaces, "sh", os.fspath(_CONFINE), os.fspath(copy.root.parent))


def _environment(copy: Copy) -> dict[str, str]:
    # A skip would be taken for a pass; random examples would make a pass that differs each time.
    own = {"PYTHONPATH": os.fspath(copy.root / ".src"), "TMPDIR": os.fspath(copy.root.parent)}
    # What a test waits for mostly does not come when a defence is taken out.
    settings = {"PYBUILD_TESTS_NO_SKIPS": "1", "CI": "1", "PYBUILD_TESTS_PATIENCE": "20", **own}
    # Compiled code is kept, in the copy: without it each run would compile all modules, at twice the cost.
    return {**{name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}, **settings}


def _cases(report: Path) -> list[Case]:
    try:
        tree = ET.parse(report)
    except (FileNotFoundError, ET.ParseError):
        return []
    return [_case(each) for each in tree.iter("testcase")]


def _message(found: ET.Element) -> str:
    """What an exception says. In place of a long text the report has the source around it, with E before the text."""
    message = found.get("message") or ""
    # A long one ends within the source: then the text behind it has the line that counts.
    error = _ERROR.search(message) or (_ERROR.search(found.text or "") if _CUT_SHORT in message else None)
    return error[1] if error else message


def _without_group(name: str) -> str:
    """Return the name of a test as it was before pytest-xdist has added "@" and its group."""
    before, at, group = name.rpartition("@")
    return before if at and "]" not in group else name


def _case(element: ET.Element) -> Case:
    name = f"{element.get('classname')}::{_without_group(element.get('name') or '')}"
    for kind in ("failure", "error", "skipped"):
        found = element.find(kind)
        if found is not None:
            # The message is cut short; the text behind it has all, and what the test printed.
            text = f"{_message(found)}\n{found.text}"
            return Case(name, "failure" if kind == "failure" else "error", text)
    return Case(name, "", "")
