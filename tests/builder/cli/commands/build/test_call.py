"""``build --check``, ``build --call`` and the warnings of a build, as a user sees them."""

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from pybuild.builder.cli.commands.build.call import Question, call_of, dockerfile_path
from pybuild.builder.cli.flags.report import ReportFlags
from pybuild.builder.errors import BuildError, RequestError
from pybuild.builder.request import Request
from pybuild.builder.sources import bases
from tests.builder.cli.conftest import Shop

AS = "FromAsCasing: 'as' and 'FROM' keywords' casing do not match"


@pytest.fixture
def context(tmp_path: Path) -> Path:
    directory = tmp_path / "context"
    directory.mkdir()
    (directory / "a.txt").write_text("a")
    return directory


def dockerfile(context: Path, text: str) -> None:
    (context / "Dockerfile").write_text(text)


def asked(call: str | None = None, form: str | None = None, *, check: bool = False) -> Question | None:
    flags = ReportFlags(
        call=call,
        check=check,
        output_format=form,
        iidfile=None,
        metadata_file=None,
        progress=None,
        quiet=False,
        log_file=None,
    )
    return call_of(flags)


def test_a_call_has_the_grammar_of_docker() -> None:
    assert asked(check=True) == asked("check") == Question(method="check")
    assert asked("check,format=json") == asked("check", "json") == Question(method="check", format="json")
    assert asked("lint,format=json") == asked("check,format=json")
    assert asked("subrequests.describe") == Question(method="subrequests.describe")
    assert asked("outline") == Question(method="outline")
    assert asked("targets,format=json") == Question(method="targets", format="json")
    assert asked("check,ignorestatus") == asked("check,ignorestatus=1") == Question(method="check", ignore_status=True)
    assert asked("check,ignorestatus=F") == Question(method="check")
    assert asked("build") is None


@pytest.mark.parametrize(
    ("call", "form", "check", "message", "hint"),
    [
        ("chekc", None, False, "--call: unknown method 'chekc'", 'did you mean "check"?'),
        (
            "describe",
            None,
            False,
            "--call: unknown method 'describe'",
            "use one of build, check, lint, outline, targets, subrequests.describe",
        ),
        ("outline", "sarif", False, "--call=outline: unknown format 'sarif'", "use one of text, json"),
        ("check", "sariff", False, "--call=check: unknown format 'sariff'", 'did you mean "sarif"?'),
        ("check,x=1", None, False, "--call: invalid option 'x=1'", "the options are format and ignorestatus"),
        ("check,ignorestatus=yes", None, False, "invalid --call: ignorestatus=yes", "use true or false"),
        ("outline", None, True, "--check and --call=outline exclude each other", ""),
        (None, "json", False, "unknown --format 'json'", "use oci or docker; others are for --check and --call"),
    ],
)
def test_what_is_no_call_is_refused_with_the_way_out(
    call: str | None, form: str | None, check: bool, message: str, hint: str
) -> None:
    with pytest.raises(RequestError) as caught:
        asked(call, form, check=check)
    assert (caught.value.message, caught.value.hint) == (message, hint)


def test_a_report_names_the_dockerfile_as_the_user_does(tmp_path: Path) -> None:
    (tmp_path / "dockerfile").write_text("FROM scratch\n")
    dash = Path("-")
    assert dockerfile_path(Request.of(context=tmp_path)) == str(tmp_path / "dockerfile")
    assert dockerfile_path(Request.of(context=Path(), dockerfile=Path("x/Other"))) == "x/Other"
    assert dockerfile_path(Request.of(context=Path())) == "Dockerfile"
    assert dockerfile_path(Request.of(context=dash)) == dockerfile_path(Request.of(context=Path(), dockerfile=dash))


def test_check_is_silent_about_what_is_in_order(shop: Shop, context: Path) -> None:
    dockerfile(context, "FROM scratch\nCOPY a.txt /\n")
    result = shop.run("build", "--check", str(context))
    assert (result.code, result.out, result.err) == (0, "Check complete, no warnings found.\n", "")
    assert shop.names() == []


def test_check_exits_1_on_a_warning_unless_told_to_ignore_it(shop: Shop, context: Path) -> None:
    dockerfile(context, "FROM scratch as a\n")
    result = shop.run("build", "--check", str(context))
    assert result.code == 1
    assert result.lines[0] == "Check complete, 1 warning has been found!"
    assert shop.run("build", "--call=check,ignorestatus=true", str(context)).code == 0


def test_print_is_the_older_name_of_call(shop: Shop, context: Path) -> None:
    dockerfile(context, "FROM scratch AS one\n")
    assert shop.run("build", "--print=targets,format=json", str(context)).out == (
        shop.run("build", "--call=targets,format=json", str(context)).out
    )


def test_check_looks_at_every_stage_or_at_those_of_the_target(shop: Shop, context: Path) -> None:
    dockerfile(context, "FROM scratch AS one\nCOPY $foo .\nFROM scratch AS two\nCOPY $bar .\nFROM scratch AS three\n")

    def lines(*flags: str) -> list[int]:
        found = json.loads(shop.run("build", "--check", "--format=json", *flags, str(context)).out)
        return [item["location"]["ranges"][0]["start"]["line"] for item in found["warnings"]]

    assert lines() == [2, 4]
    assert lines("--target", "one") == [2]
    assert lines("--target", "three") == []


@pytest.mark.parametrize("flag", ["--security=insecure", "--network=host"])
def test_check_and_outline_do_not_ask_for_entitlements(shop: Shop, context: Path, flag: str) -> None:
    shop.image("base:1")
    dockerfile(context, f"FROM base:1\nRUN {flag} true\n")
    assert shop.run("build", "--network=none", "--check", str(context)).code == 0
    assert shop.run("build", "--network=none", "--call=outline", str(context)).code == 0


@pytest.mark.parametrize(
    ("name", "hint"),
    [("base:", "write it as NAME:TAG, HOST/NAME:TAG or NAME@DIGEST"), ("Base", "write the name in lower case")],
)
def test_a_name_of_an_image_that_is_none_has_the_hint_of_the_build(
    shop: Shop, context: Path, name: str, hint: str
) -> None:
    dockerfile(context, f"FROM {name}\n")
    (warning,) = json.loads(shop.run("build", "--check", "--format=json", str(context)).out)["warnings"]
    assert warning["hint"] == hint


def test_check_knows_the_variables_of_a_base(shop: Shop, context: Path) -> None:
    shop.image("base:1")
    dockerfile(context, "FROM base:1\nENV a=$PATH b=$NOPE\n")
    result = shop.run("build", "--check", str(context))
    assert "'$NOPE'" in result.out
    assert "'$PATH'" not in result.out


def test_check_does_without_a_base_that_cannot_be_looked_up(
    shop: Shop, context: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(reference: str, *_: object, **__: object) -> bases.Pinned:
        raise BuildError(f"{reference}: nobody answers")

    monkeypatch.setattr(bases, "pin", unreachable)
    dockerfile(context, "FROM base:1 as a\nENV a=$NOPE\nCOPY a.txt /\n")
    result = shop.run("build", "--check", str(context))
    assert result.code == 1
    assert "FromAsCasing" in result.out
    assert "UndefinedVar" not in result.out
    assert result.err == (
        "WARNING: docker.io/library/base:1: nobody answers; checks that need this image are skipped\n"
    )


def test_a_mistake_ends_the_check_after_what_was_found_before_it(shop: Shop, context: Path) -> None:
    dockerfile(context, "FROM scratch as a\nCOPY --from=5 x /\n")
    result = shop.run("build", "--check", str(context))
    assert result.code == 2
    assert "WARNING: FromAsCasing" in result.out
    assert "Check complete" not in result.out
    assert "Dockerfile:2" in result.err
    dockerfile(context, "FROM scratch\nBADCMD\n")
    result = shop.run("build", "--check", str(context))
    assert (result.code, result.out) == (2, "")
    assert "unknown instruction: BADCMD" in result.err


def test_what_stands_before_a_mistake_is_checked_and_a_build_shows_it_too(shop: Shop, context: Path) -> None:
    dockerfile(context, "FROM scratch as a\nMAINTAINER me\nBADCMD\nFROM scratch as late\n")
    result = shop.run("build", "--check", str(context))
    assert result.code == 2
    assert [line.split()[1] for line in result.lines if line.startswith("WARNING:")] == [
        "FromAsCasing",
        "MaintainerDeprecated",
    ]
    assert "unknown instruction: BADCMD" in result.err
    found = json.loads(shop.run("build", "--call=lint,format=json", str(context)).out)
    assert [item["location"]["ranges"][0]["start"]["line"] for item in found["warnings"]] == [1, 2]
    assert found["buildError"]["location"] == {"ranges": [{"start": {"line": 3}, "end": {"line": 3}}]}
    result = shop.run("build", "--progress=plain", str(context))
    assert result.code == 2
    assert " 2 warnings found:\n" in result.err
    assert result.err.index(f" - {AS} (line 1)") < result.err.index("Dockerfile:3:1: unknown instruction")


def test_a_build_that_cannot_be_planned_shows_its_warnings(shop: Shop, context: Path) -> None:
    dockerfile(context, "FROM scratch as a\nCOPY --from=5 x /\n")
    result = shop.run("build", "--progress=plain", str(context))
    assert (result.code, f" - {AS} (line 1)" in result.err) == (2, True)
    dockerfile(context, "# check=skip=FromAsCasing\nFROM scratch as a\nBADCMD\n")
    result = shop.run("build", "--progress=plain", str(context))
    assert (result.code, AS in result.err) == (2, False)


def test_triggers_of_a_base_are_part_of_the_outline(shop: Shop, context: Path) -> None:
    (context.parent / "base").mkdir()
    triggers = "ONBUILD ARG flavour=plain\nONBUILD RUN --mount=type=secret,id=token,required=true true\n"
    dockerfile(context.parent / "base", f"FROM scratch\n{triggers}ONBUILD RUN --mount=type=ssh true\n")
    assert shop.run("build", "-t", "base:1", str(context.parent / "base")).code == 0
    dockerfile(context, "ARG one=1\nFROM base:1\nARG one\n")
    result = shop.run("build", "--call=outline", str(context))
    assert [line.split() for line in result.lines] == [
        ["BUILD", "ARG", "VALUE", "DESCRIPTION"],
        ["one", "1"],
        ["flavour", "plain"],
        [],
        ["SECRET", "REQUIRED"],
        ["token", "true"],
        [],
        ["SSH", "REQUIRED"],
        ["default"],
    ]
    found = json.loads(shop.run("build", "--call=outline,format=json", str(context)).out)
    assert [item["location"]["ranges"][0]["start"]["line"] for item in found["args"]] == [1, 2]


def test_a_mistake_that_only_a_build_finds_ends_the_outline(shop: Shop, context: Path) -> None:
    dockerfile(context, "FROM scratch\nENV a='b\n")
    result = shop.run("build", "--call=outline", str(context))
    assert (result.code, result.out) == (2, "")
    assert "Dockerfile:2:7: failed to process" in result.err
    dockerfile(context, "FROM scratch\nENV a=b\nRUN --network=host true\n")
    assert shop.run("build", "--call=outline", str(context)).code == 0


def test_the_questions_that_may_be_asked_are_described(shop: Shop, context: Path) -> None:
    result = shop.run("build", "--call=subrequests.describe", str(context))
    assert result.lines[0].split() == ["NAME", "VERSION", "DESCRIPTION"]
    assert [line.split()[0] for line in result.lines[1:]] == ["outline", "targets", "lint", "subrequests.describe"]
    found = json.loads(shop.run("build", "--call=subrequests.describe,format=json", str(context)).out)
    assert found[0] == {
        "name": "frontend.outline",
        "version": "1.0.0",
        "type": "rpc",
        "description": "List all parameters current build target supports",
        "opts": [{"name": "target", "description": "Target build stage"}],
        "inputs": None,
        "metadata": [{"name": "result.json", "description": ""}, {"name": "result.txt", "description": ""}],
        "refs": None,
    }


def test_options_that_cannot_be_read_are_a_mistake(shop: Shop, context: Path) -> None:
    dockerfile(context, "# check=skp=all\nFROM scratch\n")
    for flags in (("--check",), ()):
        result = shop.run("build", *flags, str(context))
        assert result.code == 2
        assert 'Dockerfile:1:1: failed to parse check options: invalid check option "skp"' in result.err
        assert 'did you mean "skip"?' in result.err


def test_error_true_fails_the_check_by_name(shop: Shop, context: Path) -> None:
    dockerfile(context, "# check=error=true\nFROM scratch as a\ncopy a.txt /\n")
    result = shop.run("build", "--check", str(context))
    assert result.code == 1
    assert "Check complete, 2 warnings have been found!" in result.out
    assert result.err.startswith("ERROR: lint violation found for rules: FromAsCasing, ConsistentInstructionCasing\n")


def test_sarif_and_junit_are_documents(shop: Shop, context: Path) -> None:
    dockerfile(context, "FROM scratch as a\n")
    result = shop.run("build", "--check", "--format", "sarif", str(context))
    assert result.code == 1
    uri = json.loads(result.out)["runs"][0]["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert uri == str(context / "Dockerfile")
    root = ET.fromstring(shop.run("build", "--call=check,format=junit", str(context)).out)
    assert root.get("failures") == "1"


def test_targets_and_outline_are_tables_or_json(shop: Shop, context: Path) -> None:
    dockerfile(
        context,
        "# V is shown\nARG V=1\n# one is first\nFROM scratch AS one\nARG V\n"
        "FROM scratch\nRUN --mount=type=secret,id=s,required true\n",
    )
    assert shop.run("build", "--call=targets", str(context)).lines == [
        "TARGET      DESCRIPTION",
        "one         is first",
        "(default)",
    ]
    assert shop.run("build", "--call=outline", "--target=one", str(context)).lines == [
        "TARGET:      one",
        "DESCRIPTION: is first",
        "",
        "BUILD ARG   VALUE     DESCRIPTION",
        "V           1         is shown",
    ]
    assert shop.run("build", "--call=outline", str(context)).lines == ["SECRET    REQUIRED", "s         true"]
    found = json.loads(shop.run("build", "--call=outline,format=json", "--target=one", str(context)).out)
    assert found["args"][0]["name"] == "V"
    found = json.loads(shop.run("build", "--call=targets", "--format=json", str(context)).out)
    assert [target.get("name") for target in found["targets"]] == ["one", None]
    assert shop.run("build", "--call=outline", "--target=nope", str(context)).code == 2


def test_a_build_shows_its_warnings_also_when_nothing_changed(shop: Shop, context: Path) -> None:
    dockerfile(context, "FROM scratch as a\nCOPY a.txt /\nFROM scratch\nCOPY a.txt /\nWORKDIR x\n")
    for _ in range(2):
        result = shop.run("build", "--progress=plain", str(context))
        assert result.code == 0
        assert " 2 warnings found:\n" in result.err
        assert f" - {AS} (line 1)\n - WorkdirRelativePath: Relative workdir" in result.err
        assert "(line 5)\n" in result.err


def test_a_build_fails_when_its_warnings_are_errors(shop: Shop, context: Path) -> None:
    dockerfile(context, "FROM scratch as a\nCOPY a.txt /\n")
    for _ in range(2):
        result = shop.run("build", "--build-arg", "BUILDKIT_DOCKERFILE_CHECK=error=true", "-t", "x", str(context))
        assert result.code == 1
        assert "ERROR: lint violation found for rules: FromAsCasing\n" in result.err
        assert result.err.index(AS) < result.err.index("ERROR:")
        assert shop.names() == []
    assert shop.run("build", str(context)).code == 0


def test_a_changed_ignore_file_changes_the_warnings(shop: Shop, context: Path) -> None:
    dockerfile(context, "FROM scratch\nCOPY a.* /\n")
    (context / ".dockerignore").write_text("a.*\n")
    assert "CopyIgnoredFile" in shop.run("build", str(context)).err
    (context / ".dockerignore").write_text("b.*\n")
    result = shop.run("build", str(context))
    assert result.code == 0
    assert "CopyIgnoredFile" not in result.err


def test_a_file_in_another_language_is_neither_built_nor_checked(shop: Shop, context: Path) -> None:
    dockerfile(context, "# syntax=evil/frontend\n!this is no Dockerfile\n")
    for flags in (("--check",), ()):
        result = shop.run("build", *flags, str(context))
        assert result.code == 2
        assert "Dockerfile:1:1: frontend evil/frontend is not supported" in result.err
    dockerfile(context, "# syntax=evil/frontend\nFROM scratch\nCOPY a.txt /\n")
    assert shop.run("build", "--build-arg=BUILDKIT_SYNTAX=dockerfile.v0", str(context)).code == 0
