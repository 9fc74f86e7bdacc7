"""A Dockerfile with two violations, for the tests of reports."""

from pybuild.grammar.lint.rules import FROM_AS_CASING, STAGE_NAME_CASING, Violation
from pybuild.grammar.source import Source, Span

SOURCE = Source("Dockerfile", "FROM x\nFROM scratch \\\n as \u00c4\n")
SECOND = Span(7, 27)
CASING = Violation(rule=FROM_AS_CASING, message="'as' and 'FROM' do not match", span=SECOND, hint="write AS")
NAME = Violation(rule=STAGE_NAME_CASING, message="Stage name 'a\x1b[31m<&>'", span=Span(0, 6))
