import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pybuild.builder.cli import main as cli
from pybuild.builder.cli.commands import COMMANDS
from pybuild.builder.cli.tools import Tools
from pybuild.builder.errors import BuildError, Cancelled, RequestError, ResolveError, StepFailed
from pybuild.builder.interrupts import Interrupts
from pybuild.builder.oci.digest import Digest
from pybuild.builder.oci.errors import RegistryError
from pybuild.builder.oci.model import Descriptor
from pybuild.builder.outputs.load import LoadOutput
from pybuild.builder.outputs.local import LocalOutput
from pybuild.builder.outputs.oci import OciOutput
from pybuild.builder.plan.plan import Definition
from pybuild.builder.progress import Progress, StepFinished, StepStarted
from pybuild.builder.request import Compression, Request
from pybuild.builder.store.store import Store
from pybuild.grammar.errors import DockerfileError
from pybuild.grammar.source import Span
from pybuild.runtime.errors import SandboxError, SandboxUnavailable
from tests.helpers.handlers import default_handlers

IMAGE_ID = Digest.of(b"config")
CREATED = "2020-09-13T12:26:40Z"
DOCKERFILE = "FROM scratch\nRUN x\n"
MANIFEST = Descriptor(media_type="application/vnd.oci.image.manifest.v1+json", digest=Digest.of(b"manifest"), size=8)


class Outcome:
    image_id = IMAGE_ID
    descriptor = MANIFEST
    names = ("docker.io/library/a:b",)
    created = CREATED
    platforms = ()
    targets = ()


class Fake:
    """A build that does nothing but show a step, and remembers what it was asked for."""

    def __init__(self, store: Path, error: BaseException | None = None) -> None:
        self.store = store
        self.error = error
        self.requests: list[Request] = []
        self.texts: list[str] = []
        self.roots: list[Path | None] = []

    def open_store(self, root: Path | None, _registries: object) -> Store:
        self.roots.append(root)
        # As if its limits had just been enforced: whether a build does so depends on the disk of this machine.
        (self.store / "locks").mkdir(parents=True, exist_ok=True)
        (self.store / "locks" / "tidied").touch()
        return Store(self.store)

    def build(self, request: Request, _store: Store, progress: Progress) -> Outcome:
        self.requests.append(request)
        if request.files.dockerfile is not None:
            self.texts.append(request.files.dockerfile.read_text())
        progress(StepStarted(step=1, name="[1/1] RUN x", at=0.0))
        progress(StepFinished(step=1, at=1.0, error=str(self.error or "")))
        if self.error is not None:
            with Definition("Dockerfile", DOCKERFILE).located():
                raise self.error
        return Outcome()


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    for name in ("SOURCE_DATE_EPOCH", "BUILDKIT_PROGRESS", "DOCKER_DEFAULT_PLATFORM", "PYBUILD_DEBUG", "PYBUILD_ROOT"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "context").mkdir()
    (tmp_path / "context" / "Dockerfile").write_text(DOCKERFILE)
    monkeypatch.chdir(tmp_path)
    return Fake(tmp_path / "store")


def run(fake: Fake, *arguments: str) -> int:
    return cli.run(arguments, Tools(open_store=fake.open_store, build=fake.build))


def asked(fake: Fake, *arguments: str) -> Request:
    """Return the request that a command line becomes."""
    assert run(fake, *arguments) == 0
    return fake.requests[-1]


@pytest.mark.parametrize(
    "words", [["-t", "a:b", "context"], ["build", "-t", "a:b", "context"], ["./context", "-t", "a:b"]]
)
def test_build_is_what_is_meant_when_no_command_is_named(fake: Fake, words: list[str]) -> None:
    assert asked(fake, *words) == Request.of(context=Path("context"), tags=("docker.io/library/a:b",))


def test_every_flag_reaches_the_request(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FROM_ENV", "e")
    monkeypatch.setattr(LoadOutput, "check", lambda _output: None)
    (fake.store.parent / "D").write_text("FROM scratch\n")
    words = "-t a -t reg.example/b:2 -f D --build-arg A=1 --build-arg FROM_ENV --build-arg UNSET --target T --no-cache --pull"
    words += " --label l=1 --network none --platform linux/arm64 --add-host h:1.2.3.4 --compression zstd,9 --load"
    words += " -o type=oci,dest=x.tar,name=c -o out context"
    assert asked(fake, *words.split()) == Request.of(
        context=Path("context"),
        dockerfile=Path("D"),
        tags=("docker.io/library/a:latest", "reg.example/b:2", "docker.io/library/c:latest"),
        build_args=(("A", "1"), ("FROM_ENV", "e")),
        target="T",
        labels=(("l", "1"),),
        platform="linux/arm64",
        network="none",
        add_hosts=(("h", "1.2.3.4"),),
        no_cache=True,
        pull="always",
        compression=Compression(algorithm="zstd", level=9),
        outputs=(
            OciOutput(dest=Path("x.tar")),
            LocalOutput(dest=Path("out")),
            LoadOutput(),
        ),
    )


def test_switches_take_values_as_in_go(fake: Fake) -> None:
    assert asked(fake, "--no-cache=true", "--pull=false", "context").caches.no_cache is True
    assert fake.requests[-1].caches.pull == "missing"
    assert asked(fake, "--no-cache=T", "--pull=never", "context").caches.no_cache is True
    assert fake.requests[-1].caches.pull == "never"


@pytest.mark.parametrize("policy", ["always", "missing", "never", "newer"])
def test_pull_takes_a_policy(fake: Fake, policy: str) -> None:
    assert asked(fake, f"--pull={policy}", "context").caches.pull == policy


def test_the_compression_of_an_output_is_that_of_the_layers(fake: Fake) -> None:
    request = asked(fake, "-o", "type=oci,dest=x,compression=zstd,compression-level=3", "context")
    assert request.execution.compression == Compression(algorithm="zstd", level=3)


def test_source_date_epoch_of_the_environment_is_an_argument_and_a_time(
    fake: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "12")
    request = asked(fake, "./context")
    assert (request.planning.build_args, request.execution.source_date_epoch) == ((("SOURCE_DATE_EPOCH", "12"),), 12)


@pytest.mark.parametrize(
    "words", [["--root", "r", "./context"], ["--root=r", "build", "context"], ["build", "context", "--root", "r"]]
)
def test_the_store_can_be_named_before_or_after_the_command(fake: Fake, words: list[str]) -> None:
    asked(fake, *words)
    assert fake.roots == [Path("r")]


def test_files_that_name_the_image_are_written(fake: Fake, tmp_path: Path) -> None:
    target = tmp_path / "elsewhere"
    target.write_text("mine")
    (tmp_path / "id").symlink_to(target)
    asked(fake, "--iidfile", "id", "--metadata-file", "meta", "context")
    assert (tmp_path / "id").read_text() == str(IMAGE_ID)
    assert target.read_text() == "mine"
    about = json.loads((tmp_path / "meta").read_text())
    assert re.fullmatch(r"pybuild/pybuild/[0-9a-z]{25}", about.pop("buildx.build.ref"))
    assert about == {
        "containerimage.config.digest": str(IMAGE_ID),
        "containerimage.descriptor": {
            "annotations": {"config.digest": str(IMAGE_ID), "org.opencontainers.image.created": CREATED},
            "mediaType": MANIFEST.media_type,
            "digest": str(MANIFEST.digest),
            "size": 8,
        },
        "containerimage.digest": str(MANIFEST.digest),
        "image.name": "docker.io/library/a:b",
    }
    assert sorted(path.name for path in tmp_path.iterdir()) == ["context", "elsewhere", "id", "meta", "store"]


def test_quiet_prints_the_image_id_alone(fake: Fake, capsys: pytest.CaptureFixture[str]) -> None:
    asked(fake, "-q", "context")
    assert capsys.readouterr() == (f"{IMAGE_ID}\n", "")


def test_quiet_progress_prints_it_too_unless_an_archive_goes_there(
    fake: Fake, capsys: pytest.CaptureFixture[str]
) -> None:
    asked(fake, "--progress=quiet", "context")
    assert capsys.readouterr() == (f"{IMAGE_ID}\n", "")
    asked(fake, "--progress=none", "context")
    asked(fake, "--progress=quiet", "-o", "-", "context")
    assert capsys.readouterr() == ("", "")


def test_progress_goes_to_standard_error(fake: Fake, capsys: pytest.CaptureFixture[str]) -> None:
    asked(fake, "./context")
    assert capsys.readouterr() == ("", "#1 [1/1] RUN x\n#1 DONE 1.0s\n")


def test_the_mode_of_progress_comes_from_the_flag_before_the_environment(
    fake: Fake, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BUILDKIT_PROGRESS", "rawjson")
    asked(fake, "./context")
    assert json.loads(capsys.readouterr().err.splitlines()[0])["vertexes"][0]["name"] == "[1/1] RUN x"
    asked(fake, "--progress", "quiet", "context")
    assert capsys.readouterr().err == ""
    monkeypatch.setenv("BUILDKIT_PROGRESS", "fancy")
    assert run(fake, "./context") == 2
    assert "invalid BUILDKIT_PROGRESS 'fancy'" in capsys.readouterr().err


FAILURES: list[tuple[BaseException, int, str]] = [
    (RequestError("no", hint="do"), 2, "ERROR: no\nhint: do\n"),
    (DockerfileError("bad", Span(13, 16)), 2, "Dockerfile:2:1: bad\nRUN x\n~~^\n"),
    (ResolveError("bad", span=Span(17, 18), hint="h"), 2, "Dockerfile:2:5: bad\nRUN x\n    ^\nhint: h\n"),
    (BuildError("went wrong"), 1, "ERROR: went wrong\n"),
    (RegistryError("refused", hint="log in"), 4, "ERROR: refused\nhint: log in\n"),
    (Cancelled("stopped"), 130, "ERROR: interrupted\n"),
    (KeyboardInterrupt(), 130, "\nERROR: interrupted\n"),
    (SandboxUnavailable("no namespaces", "allow them"), 3, "ERROR: no namespaces\nhint: allow them\n"),
    (SandboxError("mount", "/proc", 1), 3, "ERROR: mount /proc: Operation not permitted\n"),
    (OSError(28, "No space left on device", "/x"), 3, "ERROR: /x: no space left on device\n"),
    (MemoryError(), 3, "ERROR: out of memory\n"),
    (BrokenPipeError(32, "Broken pipe"), 1, ""),
]


@pytest.mark.parametrize(("error", "code", "text"), FAILURES, ids=lambda value: type(value).__name__)
def test_a_failure_has_an_exit_code_and_a_text(
    fake: Fake, capsys: pytest.CaptureFixture[str], error: BaseException, code: int, text: str
) -> None:
    fake.error = error
    assert run(fake, "--progress", "quiet", "context") == code
    assert capsys.readouterr().err == text


def test_a_failed_step_shows_its_place_and_last_lines(fake: Fake, capsys: pytest.CaptureFixture[str]) -> None:
    fake.error = StepFailed("process failed", step="[1/1] RUN x", lines=(2, 2), exit_code=1, output=("0.1 oh\x1b[2J",))
    assert run(fake, "--progress", "quiet", "context") == 1
    assert capsys.readouterr().err == (
        "------\n > [1/1] RUN x:\n0.1 oh\n------\nDockerfile:2\n--------------------\n"
        "   1 |     FROM scratch\n   2 | >>> RUN x\n   3 |     \n--------------------\n"
        "ERROR: failed to build: failed to solve: process failed\n"
    )


def test_a_bug_is_told_in_one_line_and_its_traceback_only_when_asked_for(
    fake: Fake, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    fake.error = KeyError("x\x1b[31m")
    assert run(fake, "--progress", "quiet", "context") == 70
    told = capsys.readouterr().err
    assert told.startswith("ERROR: pybuild has a bug: KeyError: ")
    assert "Traceback" not in told
    assert "PYBUILD_DEBUG=1" in told
    assert "\x1b" not in told


@pytest.mark.parametrize(("text", "shown"), [("1", True), ("T", True), ("maybe", True), ("false", False), ("", False)])
def test_a_variable_asks_for_the_traceback_of_a_bug(
    fake: Fake, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, text: str, shown: bool
) -> None:
    fake.error = KeyError("x")
    monkeypatch.setenv("PYBUILD_DEBUG", text)
    assert run(fake, "--progress", "quiet", "context") == 70
    assert ("Traceback" in capsys.readouterr().err) is shown


WRONG = [
    (["--taag", "x", "context"], "--tag"),
    (["build"], "missing argument 'CONTEXT'"),
    (["build", "nowhere"], 'path "nowhere" not found'),
    (
        ["--no-cache=maybe", "context"],
        'invalid argument "maybe" for "--no-cache" flag: strconv.ParseBool: parsing "maybe"',
    ),
    (["-q=tRUE", "context"], 'invalid argument "tRUE" for "-q, --quiet" flag'),
    (["--provenance=maybe", "context"], "--provenance: attestations are not supported"),
    (["--attest=disabled=maybe", "context"], "--attest: attestations are not supported"),
    (["imags"], 'did you mean "pybuild images"?'),
    (["context/Dockerfile"], "context must be a directory"),
    (["https://me:word@host/x.git"], "must not contain a user name or a password"),
    (["https://host/x.git?colour=red"], 'unexpected query "colour"'),
    (["--build-context", "x", "context"], "invalid context value: 'x', expected key=value"),
    (
        ["--build-context", "x=nowhere", "context"],
        "failed to get build context path nowhere: no such file or directory",
    ),
    (["--build-context", "x=/dev/null", "context"], "failed to get build context path /dev/null: not a directory"),
    (["--build-context", "scratch=context", "context"], "invalid context name 'scratch'"),
    (["-", "-f", "-"], "can't use stdin for both"),
    (["-t", "UPPER", "context"], "invalid tag"),
    (["-t", "a@sha256:" + "0" * 64, "context"], "invalid tag"),
    (["--secret", "id=x,colour=red", "context"], "invalid --secret"),
    (["--push", "context"], "tag is needed when pushing to registry"),
    (["--progress", "tty", "context"], "not a terminal"),
    (["-o", "-", "-o", "type=oci", "context"], "only one --output"),
    (["images", "--format", "{{.Nope}}", "x"], ""),
    (["--network", "bridge", "context"], "not supported"),
    (["--pull=often", "context"], "invalid value for --pull: 'often'"),
    (["--cap-add=SYS_NOTHING", "context"], 'unknown capability: "CAP_SYS_NOTHING"'),
    (["--device=fuse", "context"], "invalid --device 'fuse'"),
    (["--security-opt=apparmor=x", "context"], "--security-opt apparmor=x is not supported"),
]


@pytest.mark.parametrize(("words", "text"), WRONG, ids=lambda value: " ".join(value) if isinstance(value, list) else "")
def test_a_wrong_command_line_is_refused_before_anything_is_built(
    fake: Fake, capsys: pytest.CaptureFixture[str], words: list[str], text: str
) -> None:
    assert run(fake, *words) == (2 if text else 0)
    assert text in capsys.readouterr().err
    assert fake.requests == []


def test_dead_flags_of_docker_are_accepted_with_a_warning(fake: Fake, capsys: pytest.CaptureFixture[str]) -> None:
    asked(
        fake,
        "--rm",
        "--force-rm=true",
        "--retry=3",
        "--progress=quiet",
        "context",
    )
    warned = re.findall("WARNING: (.*) has no effect", capsys.readouterr().err)
    assert sorted(warned) == ["--force-rm", "--retry", "--rm"]


def test_a_file_that_could_not_be_written_is_found_out_before_the_build(
    fake: Fake, capsys: pytest.CaptureFixture[str]
) -> None:
    for flag in ("--iidfile", "--metadata-file"):
        assert run(fake, "-o", "type=oci,dest=missing/file", "context") == 2
        assert "ERROR: open missing/file: no such file or directory" in capsys.readouterr().err
        assert run(fake, flag, "missing/file", "context") == 2
        assert "ERROR: open missing/file: no such file or directory" in capsys.readouterr().err
        assert run(fake, flag, "context", "context") == 2
        assert "ERROR: open context: is a directory" in capsys.readouterr().err
    assert fake.requests == []


def test_turning_off_what_is_not_there_is_no_mistake(fake: Fake, capsys: pytest.CaptureFixture[str]) -> None:
    asked(fake, "--provenance=F", "--sbom=false", "--attest=disabled=1", "--push=false", "--progress=quiet", "context")
    asked(fake, "--provenance=", "--sbom", "", "--isolation=", "--builder=", "--progress=quiet", "context")
    assert capsys.readouterr().err == ""


def test_sigterm_ends_a_build_as_an_interrupt_does(fake: Fake, capsys: pytest.CaptureFixture[str]) -> None:
    def build(*_: Any) -> Outcome:
        os.kill(os.getpid(), 15)
        raise AssertionError("the signal came too late")

    tools = Tools(open_store=fake.open_store, build=build)
    with default_handlers(), Interrupts():
        assert cli.run(["--progress=quiet", "context"], tools) == 130
    assert capsys.readouterr().err == "\nERROR: interrupted\n"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_a_complete_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run([name, "--help"]) == 0
    text = capsys.readouterr().out
    assert text.startswith(f"Usage: pybuild {name}")
    options = text.partition("Options:\n")[2].partition("\n\n")[0]
    described = re.findall(r"^  (?:-\w, )?--[\w-]+(?:, --[\w-]+)*(?: \S+)*(?:  +|\n +)\S.*$", options, re.MULTILINE)
    assert len(described) == len(re.findall(r"^  -", options, re.MULTILINE))


def test_the_help_lists_all_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["--help"]) == 0
    text = capsys.readouterr().out
    assert [name for name in COMMANDS if f"\n  {name} " not in text] == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_a_script_for_the_shell(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["completion", shell]) == 0
    assert "_PYBUILD_COMPLETE" in capsys.readouterr().out


@pytest.mark.parametrize("words", [["version"], ["--version"], ["version", "--format", "{{.Version}}"]])
def test_the_version_is_told(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(words) == 0
    assert re.search(r"\d+\.\d+\.\d+", capsys.readouterr().out)


def test_version_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["version", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["Os"] == "linux"


def python(code: str, *, stdin: bytes = b"", cwd: Path | None = None) -> "subprocess.CompletedProcess[bytes]":
    source = Path(cli.__file__).parents[3]
    environment = {"PYTHONPATH": f"{source}:{source.parent}", "PATH": os.environ["PATH"]}
    command = [sys.executable, "-c", code]
    return subprocess.run(command, input=stdin, capture_output=True, env=environment, cwd=cwd, check=False, timeout=60)


@pytest.mark.parametrize(
    "module",
    [
        "pybuild.builder.cli.main",
        "pybuild.builder.cli.commands.build.build",
        "pybuild.builder.cli.commands.image.images",
    ],
)
def test_commands_import_none_of_the_heavy_libraries(module: str) -> None:
    heavy = ["lark", "networkx", "requests", "zstandard", "isal", "tarfile", "rich", "asyncio", "unittest"]
    done = python(f"import sys, {module}; print([name for name in {heavy} if name in sys.modules])")
    assert (done.stdout, done.stderr) == (b"[]\n", b"")


def test_the_command_line_alone_imports_nothing_of_ours_but_the_usual_flags_and_signals() -> None:
    done = python(
        "import sys, pybuild.builder.cli.main; print(sorted(name for name in sys.modules if name.startswith('pybuild')))"
    )
    ours = [
        "pybuild",
        "pybuild.builder",
        "pybuild.builder.cli",
        "pybuild.builder.cli.flags",
        "pybuild.builder.cli.flags.fast_path",
        "pybuild.builder.cli.main",
        "pybuild.builder.cli.tools",
        "pybuild.builder.interrupts",
    ]
    assert done.stdout.decode() == f"{ours}\n"


def test_the_process_ends_after_its_handlers_and_before_its_objects_are_freed() -> None:
    program = """
import atexit
from pybuild.builder.cli import main as cli
class Loud:
    def __del__(self):
        print("freed", flush=True)
loud = Loud()
def run(_arguments):
    atexit.register(print, "handler")
    print("output")
    return 7
cli.run = run
cli.main()
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (7, "output\nhandler\n", "")
