"""Errors of requests by their innermost cause."""

import socket
import ssl

import pytest

from pybuild.builder.oci.errors import RegistryUnavailable
from pybuild.builder.oci.registry.wire.failures import NOT_TLS, UNTRUSTED, failure_of, reason_of
from pybuild.builder.oci.registry.wire.origin import Origin

_ORIGIN = Origin("https", "host.test", 5000)


def wrapped(cause: BaseException) -> Exception:
    """Return *cause* below two other exceptions, as libraries wrap it."""
    inner = OSError("pool", cause)
    outer = RuntimeError("<object at 0x7f>")
    outer.__cause__ = inner
    return outer


def tls(reason: str) -> ssl.SSLError:
    error = ssl.SSLError(1, f"[SSL: {reason}] text")
    error.reason = reason
    return error


def test_an_untrusted_certificate_says_where_to_put_its_authority() -> None:
    cause = ssl.SSLCertVerificationError(1, "verify failed")
    cause.verify_message = "self-signed certificate"
    error = failure_of(_ORIGIN, wrapped(cause))
    assert str(error) == "https://host.test:5000: self-signed certificate"
    assert error.hint.endswith("certs.d/host.test:5000/ca.crt")
    assert error.code == UNTRUSTED


def test_a_server_without_tls_is_recognised() -> None:
    error = failure_of(_ORIGIN, wrapped(tls("WRONG_VERSION_NUMBER")))
    assert error.code == NOT_TLS
    assert "--tls-verify=false" in error.hint


def test_a_server_that_wants_a_client_certificate_says_so() -> None:
    error = failure_of(_ORIGIN, wrapped(tls("TLSV13_ALERT_CERTIFICATE_REQUIRED")))
    assert "rejects the TLS connection" in str(error)
    assert "client.cert" in error.hint
    assert not isinstance(error, RegistryUnavailable)


@pytest.mark.parametrize(
    ("cause", "absent", "hung"),
    [
        (ConnectionRefusedError(111, "Connection refused"), True, False),
        (socket.gaierror(-2, "Name or service not known"), True, False),
        (TimeoutError("timed out"), False, True),
        (ConnectionResetError(104, "Connection reset by peer"), False, False),
    ],
)
def test_other_failures_are_temporary(cause: OSError, absent: bool, hung: bool) -> None:
    error = failure_of(_ORIGIN, wrapped(cause))
    assert isinstance(error, RegistryUnavailable)
    assert (error.absent, error.hung) == (absent, hung)
    assert "Errno" not in str(error)


def test_a_reason_is_the_innermost_cause_and_short() -> None:
    assert reason_of(wrapped(ConnectionRefusedError(111, "Connection refused"))) == "Connection refused"
    assert reason_of(ValueError()) == "ValueError"
    assert len(reason_of(ValueError("x" * 1000))) == 200
