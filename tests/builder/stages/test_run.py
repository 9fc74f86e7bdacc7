import pytest

from pybuild.builder.errors import ResolveError
from pybuild.builder.plan.ops import BindMount, Run, Script
from pybuild.builder.stages.stages import FromContext, FromStage
from pybuild.grammar.errors import DockerfileError
from tests.helpers.resolving import BASE, base_config, history_of, marked, stage_of, step_of


def run_of(instructions, **request):
    op = step_of(instructions, **request).op
    assert isinstance(op, Run)
    return op


def mount_of(options):
    return run_of(f"WORKDIR /w\nENV x=1\nRUN --mount={options} true\n").mounts[0]


def refused(text, message):
    with pytest.raises((ResolveError, DockerfileError)) as caught:
        stage_of(text)
    assert message in caught.value.message
    return marked(text, caught.value.span)


def test_shell_form_goes_to_the_shell_and_exec_form_does_not():
    assert run_of("RUN a $b\n").args == ("/bin/sh", "-c", "a $b")
    assert run_of('RUN ["a", "$b"]\n').args == ("a", "$b")


def test_everything_that_a_process_sees_is_in_the_op():
    base = base_config(user="alice", working_dir="/w", env=("PATH=/bin", "E=1"))
    request = {"network": "none", "add_hosts": (("h", "1.2.3.4"),)}
    op = stage_of("FROM base\nARG a=2\nRUN x\n", {BASE: base}, **request).steps[0].op
    assert op == Run(
        args=("/bin/sh", "-c", "x"),
        env=(("PATH", "/bin"), ("E", "1"), ("a", "2")),
        cwd="/w",
        user="alice",
        network="none",
        hosts=(("h", "1.2.3.4"),),
    )


def test_without_a_workdir_a_process_starts_at_the_root():
    assert run_of("RUN x\n").cwd == "/"


def test_a_network_that_the_instruction_names_beats_the_requests():
    assert run_of("RUN --network=none x\n", network="host").network == "none"
    assert run_of("RUN x\n", network="none").network == "none"


def test_the_hostname_can_be_given_as_a_build_argument():
    assert run_of("RUN x\n").hostname == "buildkitsandbox"
    assert run_of("RUN x\n", build_args=(("BUILDKIT_SANDBOX_HOSTNAME", "h"),)).hostname == "h"


def test_a_proxy_reaches_the_process_in_both_spellings_without_being_declared_and_leaves_no_history():
    given = (("HTTP_PROXY", "p"), ("no_proxy", "q"), ("FTP_PROXY", ""), ("other", "r"))
    op = run_of("RUN x\n", build_args=given)
    assert op.proxies == (("HTTP_PROXY", "p"), ("http_proxy", "p"), ("NO_PROXY", "q"), ("no_proxy", "q"))
    assert "HTTP_PROXY" not in dict(op.env)
    assert history_of("RUN x\n", build_args=given) == ["RUN /bin/sh -c x # buildkit"]


def test_of_two_spellings_of_a_proxy_the_lower_case_one_counts():
    op = run_of("RUN x\n", build_args=(("http_proxy", "low"), ("HTTP_PROXY", "up"), ("Http_Proxy", "mixed")))
    assert op.proxies == (("HTTP_PROXY", "low"), ("http_proxy", "low"))


def test_a_proxy_that_is_declared_is_an_argument_too():
    op = run_of("ARG HTTP_PROXY\nRUN x\n", build_args=(("HTTP_PROXY", "p"),))
    assert op.proxies == (("HTTP_PROXY", "p"), ("http_proxy", "p"))
    assert dict(op.env)["HTTP_PROXY"] == "p"


def test_a_heredoc_alone_is_the_script_of_the_shell():
    step = step_of("RUN <<EOF\necho $a\necho b\nEOF\n")
    assert step.op.args == ("/bin/sh", "-c", "echo $a\necho b\n")
    assert step.name == "[2/2] RUN <<EOF (echo $a...)"
    assert step.lines == (2, 5)


def test_a_heredoc_of_one_line_is_shown_whole():
    assert step_of("RUN <<EOF\n\necho b\nEOF\n").name == "[2/2] RUN <<EOF (echo b)"


def test_a_heredoc_with_an_interpreter_is_a_file_that_the_shell_starts():
    op = run_of("RUN <<EOF\n#!/usr/bin/python\nprint(1)\nEOF\n")
    assert op.args == ("/bin/sh", "-c", "/dev/pipes/EOF")
    assert op.scripts == (Script(path="/dev/pipes/EOF", content="#!/usr/bin/python\nprint(1)\n"),)


def test_the_script_of_a_heredoc_stays_in_its_directory():
    assert run_of("RUN <<../../etc/x/..\n#!/bin/sh\n../../etc/x/..\n").scripts[0].path == "/dev/pipes/etc"
    assert refused("FROM base\nRUN <<a/b\n#!/bin/sh\na/b\n", 'invalid file name "a/b" of a heredoc') == "<<a/b"
    assert run_of("RUN <<a/b\ntrue\na/b\n").args == ("/bin/sh", "-c", "true\n")


def test_heredocs_inside_a_command_are_given_back_to_the_shell():
    op = run_of("RUN cat <<a - <<b > /x\n1\na\n2\nb\n")
    assert op.args == ("/bin/sh", "-c", "cat <<a - <<b > /x\n1\na\n2\nb")


def test_a_bind_mount_shows_the_context_read_only():
    step = step_of("RUN --mount=target=/m,source=src true\n")
    assert step.inputs == (FromContext(),)
    assert step.op.mounts == (BindMount(target="/m", source="src", input=1),)


def test_each_source_of_mounts_is_one_input():
    text = "FROM base AS a\nFROM base\nRUN --mount=from=a,target=/1 --mount=target=/2 --mount=from=0,target=/3 true\n"
    step = stage_of(text).steps[0]
    assert step.inputs == (FromStage(0), FromContext())
    assert [mount.input for mount in step.op.mounts] == [1, 2, 1]


def test_the_values_of_a_mount_are_expanded_and_relative_to_the_workdir():
    mount = mount_of("type=cache,target=c$x,id=i$x,sharing=locked,mode=0700,uid=5,gid=6")
    assert (mount.target, mount.id, mount.sharing) == ("/w/c1", "i1", "locked")
    assert (mount.mode, mount.uid, mount.gid) == (0o700, 5, 6)
    assert (mount.input, mount.read_only) == (-1, False)


@pytest.mark.parametrize(("written", "name"), [("c", "c"), ("./c/", "c"), ("../c", "../c"), ("/w/c", ""), ("/c/", "")])
def test_a_cache_is_named_by_its_target_as_it_is_written(written, name):
    assert mount_of(f"type=cache,target={written}").id == name
    assert mount_of(f"type=cache,id=own,target={written}").id == "own"


def test_a_bind_mount_can_be_made_writable_and_a_cache_read_only():
    assert not mount_of("target=/m,rw").read_only
    assert mount_of("type=cache,target=/m,ro").read_only


@pytest.mark.parametrize(
    ("size", "number"),
    [("5", 5), ("5b", 5), ("2k", 2048), ("2kb", 2048), ("1M", 1 << 20), ("1.5g", 3 << 29), ("1GiB", 1 << 30)],
)
def test_sizes_are_spelled_as_in_docker(size, number):
    assert mount_of(f"type=tmpfs,target=/m,size={size}").size == number


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("target=/", 'invalid mount target "/"'),
        ("type=cache,target=/x/..", 'invalid mount target "/"'),
        ("type=cache,target=/m,mode=$v", "invalid value many for mode"),
        ("type=tmpfs,target=/m,size=$v", "invalid value for size: many"),
    ],
)
def test_a_wrong_mount_is_refused_where_it_stands(options, message):
    text = f"FROM base\nENV v=many\nRUN --mount={options} true\n"
    assert refused(text, message).endswith(options)


def test_a_mount_without_a_target_says_where_to_write_it():
    with pytest.raises(ResolveError, match="invalid mount target") as caught:
        run_of("RUN --mount=type=cache /var/cache true\n")
    assert "target=DIRECTORY" in caught.value.hint


def test_insecure_is_refused_unless_the_request_permits_it():
    instruction = "RUN --security=insecure x"
    assert refused(f"FROM base\n{instruction}\n", "entitlement security.insecure is not allowed") == instruction


def test_the_network_of_the_host_is_refused_unless_the_request_permits_it():
    text, instruction = "FROM base\nRUN --network=host x\n", "RUN --network=host x"
    assert refused(text, "entitlement network.host is not allowed") == instruction
    assert run_of(f"{instruction}\n", allow=frozenset({"network.host"})).network == "host"
    assert run_of(f"{instruction}\n", network="host").network == "host"
