"""The errors for failed requests, by their innermost cause."""

import socket
import ssl
from collections.abc import Iterator

from urllib3.exceptions import ConnectTimeoutError

from pybuild.builder.oci.errors import RegistryError, RegistryUnavailable
from pybuild.builder.oci.registry.wire.origin import Origin

UNTRUSTED = "untrusted certificate"
NOT_TLS = "not TLS"
NO_CONNECTION = "no connection"
"""The host did not answer in time, not even to refuse the connection."""
_REFUSED_BY_SERVER = frozenset(
    {
        "SSLV3_ALERT_BAD_CERTIFICATE",
        "SSLV3_ALERT_HANDSHAKE_FAILURE",
        "TLSV13_ALERT_CERTIFICATE_REQUIRED",
        "TLSV1_ALERT_UNKNOWN_CA",
    }
)
_NOT_TLS = frozenset({"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNKNOWN_PROTOCOL", "RECORD_LAYER_FAILURE"})


def failure_of(origin: Origin, error: Exception) -> RegistryError:
    """Return the error for a request to *origin* that failed with *error*."""
    cause = _innermost(error)
    if isinstance(cause, ssl.SSLCertVerificationError):
        return RegistryError(
            f"{origin}: {cause.verify_message or cause}",
            hint=f"put the certificate of its authority into certs.d/{origin.host}:{origin.port}/ca.crt",
            code=UNTRUSTED,
        )
    if isinstance(cause, ssl.SSLError) and cause.reason in _NOT_TLS:
        return RegistryError(
            f"{origin}: the server does not speak TLS",
            hint=f"to permit plain http, use --tls-verify=false, or set http = true for "
            f'[registry."{origin.name}"] in pybuild.toml',
            code=NOT_TLS,
        )
    if isinstance(cause, ssl.SSLError) and cause.reason in _REFUSED_BY_SERVER:
        place = f"certs.d/{origin.host}:{origin.port}"
        hint = (
            f"if it requires a client certificate, put it into {place}/client.cert and its key into {place}/client.key"
        )
        return RegistryError(f"{origin}: the server rejects the TLS connection: {reason_of(error)}", hint=hint)
    absent = isinstance(cause, socket.gaierror | ConnectionRefusedError)
    code = NO_CONNECTION if any(isinstance(each, ConnectTimeoutError) for each in _causes(error)) else ""
    hung = isinstance(cause, TimeoutError)
    return RegistryUnavailable(f"{origin}: {reason_of(error)}", absent=absent, hung=hung, code=code)


def reason_of(error: BaseException) -> str:
    """Return the innermost cause: requests wraps the error of the kernel several times, with object addresses."""
    error = _innermost(error)
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__)[:200]


def _innermost(error: BaseException) -> BaseException:
    *_, innermost = _causes(error)
    return innermost


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield *error*, its cause, and so on."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = _cause(cause)


def _cause(error: BaseException) -> BaseException | None:
    candidates = (getattr(error, "reason", None), *error.args, error.__cause__)
    return next((candidate for candidate in candidates if isinstance(candidate, BaseException)), None)
