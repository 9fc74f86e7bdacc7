"""Secrets reach the process and nothing else."""

import base64
import itertools
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pybuild.builder.errors import BuildError
from pybuild.builder.execute.secrets import Redactor, find_secrets
from pybuild.builder.plan.ops import Run, RunMount, SecretMount
from pybuild.builder.request import Secret
from pybuild.builder.request.step_settings import HostInputs


def run_with(*mounts: RunMount) -> Run:
    return Run(args=("true",), mounts=mounts)


def request(*secrets: Secret) -> HostInputs:
    return HostInputs(secrets=secrets)


def test_a_secret_is_a_private_file_below_run_secrets_by_default(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_bytes(b"s3cret\n")
    found = find_secrets(run_with(SecretMount(target="", id="key")), request(Secret(id="key", file=file)))
    (mount,) = found.mounts
    assert (str(mount.target), mount.content, mount.mode) == ("/run/secrets/key", b"s3cret\n", 0o400)
    assert found.env == ()


def test_the_id_is_the_last_name_of_the_target_when_none_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", "abc")
    op = run_with(SecretMount(target="/etc/token", mode=0o440, uid=3, gid=4))
    (mount,) = find_secrets(op, request(Secret(id="token", variable="TOKEN"))).mounts
    assert (mount.content, mount.mode, mount.uid, mount.gid) == (b"abc", 0o440, 3, 4)


def test_a_secret_for_a_variable_is_no_file_unless_a_target_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", "abc")
    secret = Secret(id="t", variable="TOKEN")
    only = find_secrets(run_with(SecretMount(target="", id="t", env="T")), request(secret))
    assert (only.env, only.mounts) == ((("T", "abc"),), ())
    both = find_secrets(run_with(SecretMount(target="/t", id="t", env="T")), request(secret))
    assert both.env
    assert both.mounts


def test_a_missing_secret_is_an_error_only_when_it_is_required() -> None:
    assert find_secrets(run_with(SecretMount(target="", id="x")), request()).mounts == ()
    with pytest.raises(BuildError, match="secret x: not found") as caught:
        find_secrets(run_with(SecretMount(target="", id="x", required=True)), request())
    assert "--secret id=x" in caught.value.hint


def test_a_secret_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    secret = Secret(id="x", file=tmp_path / "none")
    with pytest.raises(BuildError, match="no such file or directory"):
        find_secrets(run_with(SecretMount(target="", id="x")), request(secret))


def redacted(value: bytes, pieces: list[bytes]) -> bytes:
    out: list[bytes] = []
    redactor = Redactor((value,), lambda _stream, data: out.append(data))
    for piece in pieces:
        redactor(1, piece)
    redactor.finish()
    return b"".join(out)


def test_values_are_masked_whole_in_base64_and_line_by_line() -> None:
    value = b"first-line-of-key\nsecond-line-of-key"
    text = b"a " + value + b" b " + base64.b64encode(value) + b" c second-line-of-key d"
    assert redacted(value, [text]) == b"a **** b **** c **** d"


@pytest.mark.parametrize("value", [b"hunter2-12", b"hunter2-123", b"hunter2-1234"])
def test_a_line_break_behind_the_value_does_not_undo_the_mask_of_base64(value: bytes) -> None:
    shown = redacted(value, [base64.b64encode(value + b"\n")])
    assert shown.startswith(b"****")
    assert len(shown) <= 4 + 4


@given(st.lists(st.integers(0, 40), max_size=6), st.binary(max_size=12))
def test_masking_does_not_depend_on_where_the_output_is_cut(cuts: list[int], noise: bytes) -> None:
    text = noise + b"hunter2hunter2" + noise + b"hunter2" + noise
    places = sorted({0, len(text), *(min(cut, len(text)) for cut in cuts)})
    pieces = [text[a:b] for a, b in itertools.pairwise(places)]
    assert redacted(b"hunter2", pieces) == redacted(b"hunter2", [text])
    assert b"hunter2" not in redacted(b"hunter2", pieces)


def test_output_without_a_secret_passes_unchanged_and_complete() -> None:
    assert redacted(b"hunter2", [b"hunt", b"er", b" hunter"]) == b"hunter hunter"


@pytest.mark.parametrize("before", [b"", b"a", b"ab", b"abc", b"user:"])
@pytest.mark.parametrize("value", [b"hunter2-12345678", b"\xfb\xff\xfe\xfa-12345678-\xff\xff\xff"])
def test_a_value_inside_a_longer_text_in_base64_is_masked(before: bytes, value: bytes) -> None:
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        shown = redacted(value, [encode(before + value + b"\n")])
        outer, _, rest = shown.partition(b"****")
        assert (len(outer) <= 4 * (len(before) // 3 + 1), len(rest) <= 4) == (True, True), shown


def test_hexadecimal_is_masked() -> None:
    value = b"first-line-of-key\nsecond-line-of-key"
    text = value.hex() + " " + value.hex().upper() + " " + b"second-line-of-key".hex()
    assert redacted(value, [text.encode()]) == b"**** **** ****"


def test_a_long_value_is_masked_also_where_base64_breaks_lines() -> None:
    value = bytes(range(33, 126)) * 3
    assert redacted(value, [base64.encodebytes(value)]).split() == [b"****"] * 5


def test_the_short_end_of_a_long_value_is_no_form_of_its_own() -> None:
    value = bytes(range(33, 126))[:58]
    assert redacted(value, [b"all that is other text: ABCDEFGHIJKLMNOPQRSTUVWXYZ"]).startswith(
        b"all that is other text: ABC"
    )
