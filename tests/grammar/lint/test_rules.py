from pybuild.grammar.lint.rules import EXPOSE_PROTO_CASING, JSON_ARGS_RECOMMENDED, RULES


def test_there_are_the_rules_of_buildkit_each_once() -> None:
    assert len(RULES) == len({rule.name for rule in RULES}) == 22
    assert [rule.name for rule in RULES if rule.experimental] == ["InvalidDefinitionDescription"]


def test_the_page_of_a_rule_is_named_after_it() -> None:
    pages = "https://docs.docker.com/go/dockerfile/rule"
    assert JSON_ARGS_RECOMMENDED.url == f"{pages}/json-args-recommended/"
    assert EXPOSE_PROTO_CASING.url == f"{pages}/expose-proto-casing/"
