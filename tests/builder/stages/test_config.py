import re

import pytest

from pybuild.builder.errors import ResolveError
from pybuild.builder.oci.model import ContainerConfig, Healthcheck
from pybuild.builder.stages import config
from pybuild.grammar.nodes import ExecForm, ShellForm


def test_the_last_value_of_a_variable_wins():
    assert config.split_env(["A=1", "B=x=y", "A=2", "C"]) == {"A": "2", "B": "x=y", "C": ""}


def test_a_variable_that_is_set_again_keeps_its_place():
    start = ContainerConfig(env=("A=1", "B=2"))
    assert config.with_env(start, "A", "3").env == ("A=3", "B=2")
    assert config.with_env(start, "C", "3").env == ("A=1", "B=2", "C=3")


def test_path_is_added_only_where_it_is_missing():
    assert config.with_default_path(ContainerConfig(env=("PATH=/x",))).env == ("PATH=/x",)
    assert config.with_default_path(ContainerConfig()).env == (f"PATH={config.DEFAULT_PATH}",)


def test_labels_are_sorted_and_later_ones_win():
    start = ContainerConfig(labels=(("b", "1"), ("c", "1")))
    assert config.with_labels(start, {"c": "2", "a": "3"}).labels == (("a", "3"), ("b", "1"), ("c", "2"))


def test_shell_form_runs_in_the_shell_of_the_stage():
    assert config.command_args(ContainerConfig(), ShellForm("a b")) == ("/bin/sh", "-c", "a b")
    assert config.command_args(ContainerConfig(shell=("/bin/bash", "-ec")), ShellForm("a")) == ("/bin/bash", "-ec", "a")
    assert config.command_args(ContainerConfig(), ExecForm(("a", "b c"))) == ("a", "b c")


@pytest.mark.parametrize(
    ("command", "test"),
    [
        (None, ("NONE",)),
        (ShellForm("curl -f x"), ("CMD-SHELL", "curl -f x")),
        (ExecForm(("curl", "x")), ("CMD", "curl", "x")),
    ],
)
def test_the_test_of_a_healthcheck_names_its_form(command, test):
    assert config.healthcheck_test(command) == test


def test_the_history_of_a_healthcheck_is_the_struct_as_go_prints_it():
    check = Healthcheck(test=("CMD-SHELL", "x y"), interval=30_000_000_000, timeout=1_500_000_000, retries=3)
    printed = "Interval:30s Timeout:1.5s StartPeriod:0s StartInterval:0s Retries:3"
    assert config.healthcheck_history(check) == f"HEALTHCHECK {{Test:[CMD-SHELL x y] {printed}}}"


@pytest.mark.parametrize(
    ("working_dir", "path", "result"),
    [
        ("/a", "b", "/a/b"),
        ("/a", "/b/", "/b"),
        ("", "b", "/b"),
        ("/a", "../../../b", "/b"),
        ("/a", ".", "/a"),
        ("/", "//x//y/", "/x/y"),
    ],
)
def test_a_path_is_made_absolute_and_never_climbs_above_the_root(working_dir, path, result):
    assert config.absolute(working_dir, path) == result


@pytest.mark.parametrize(
    ("path", "result"),
    [
        ("x", "/w/x"),
        ("x/", "/w/x/"),
        ("", "/w/"),
        (".", "/w/"),
        ("./", "/w/"),
        ("x/.", "/w/x/"),
        ("/", "/"),
        ("/x/../y/", "/y/"),
        ("..", "/"),
    ],
)
def test_a_destination_keeps_the_slash_that_makes_it_a_directory(path, result):
    assert config.destination("/w", path) == result


@pytest.mark.parametrize(
    ("words", "ports"),
    [
        (["80"], ("80/tcp",)),
        (["80/udp", "80/TCP"], ("80/tcp", "80/udp")),
        (["8000-8002"], ("8000/tcp", "8001/tcp", "8002/tcp")),
        (["8080:80", "127.0.0.1:9:90/sctp"], ("80/tcp", "90/sctp")),
        (["80", "80"], ("80/tcp",)),
        (["0", "65535"], ("0/tcp", "65535/tcp")),
    ],
)
def test_ports_are_spelled_out_sorted_and_unique(words, ports):
    assert config.parse_ports(words) == ports


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("http", "invalid containerPort: http"),
        ("65536", "invalid containerPort: 65536"),
        ("-1", "invalid containerPort: -1"),
        ("80-70", "invalid range specified for port: 80-70"),
        ("80/icmp", 'invalid port: "80/icmp": invalid proto: icmp'),
        ("80:", "no port specified"),
        ("٣", "invalid containerPort: ٣"),
        pytest.param("9" * 5000, "invalid containerPort: 999", id="thousands of digits"),
    ],
)
def test_what_is_no_port_is_refused(word, message):
    with pytest.raises(ResolveError, match=re.escape(message)):
        config.parse_ports([word])


@pytest.mark.parametrize("text", ["SIGTERM", "term", "9", "SIGRTMIN+3", "RTMAX-14", "sigUsr1", "64"])
def test_a_signal_stays_as_it_was_written(text):
    assert config.check_signal(text) == text


@pytest.mark.parametrize("text", ["", "0", "SIGNOTHING", "RTMIN+16", "RTMAX-15", "1.5", "SIG"])
def test_what_is_no_signal_is_refused(text):
    with pytest.raises(ResolveError, match=f"invalid signal: {re.escape(text)}$"):
        config.check_signal(text)


@pytest.mark.parametrize(
    ("current", "path", "result"),
    [("", "/app/", "/app/"), ("/a", "/b//c/../d", "/b//c/../d"), ("/app/", "x/", "/app/x"), ("", "x/../y", "/y")],
)
def test_an_absolute_working_directory_is_kept_as_written_and_a_relative_one_is_joined_and_cleaned(
    current, path, result
):
    assert config.working_dir(current, path) == result


def test_labels_of_a_base_and_new_ones_are_in_order():
    before = ContainerConfig(labels=(("b", "1"), ("d", "2")))

    assert config.with_labels(before, {"e": "5", "a": "0", "d": "3", "c": "4"}).labels == (
        ("a", "0"), ("b", "1"), ("c", "4"), ("d", "3"), ("e", "5")
    )  # fmt: skip


def test_a_variable_without_a_value_is_replaced():
    assert config.with_env(ContainerConfig(env=("A", "AB=1")), "A", "2").env == ("A=2", "AB=1")
    assert config.with_env(ContainerConfig(env=("AB=1", "C=A=0")), "A", "2").env == ("AB=1", "C=A=0", "A=2")


def test_names_are_added_to_a_sorted_set_once() -> None:
    assert config.with_names(("b", "d"), ["d", "a", "c", "a", "e"]) == ("a", "b", "c", "d", "e")
    assert config.with_names((), []) == ()


def test_a_wrong_protocol_has_a_hint() -> None:
    with pytest.raises(ResolveError) as caught:
        config.parse_ports(["3000/tpc"])
    assert caught.value.hint == "use tcp, udp or sctp"
