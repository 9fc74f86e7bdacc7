"""Reading the secrets that a request names. Values are returned and never stored."""

import os

from pybuild.builder.errors import BuildError
from pybuild.builder.request import Secret
from pybuild.runtime.errors import kernel_reason

SECRET_LIMIT = 500 << 10
"""The most bytes of a secret, as in BuildKit."""


def read_secret(secret: Secret) -> bytes:
    """Return the value of a secret. Raises BuildError when its file cannot be read.

    A variable that is not set is an empty secret, as in BuildKit: scripts of CI systems name tokens that are optional.
    """
    if secret.file is None:
        return os.environb.get(os.fsencode(secret.variable), b"")
    try:
        with secret.file.open("rb") as file:
            value = file.read(SECRET_LIMIT + 1)
    except OSError as error:
        raise BuildError(f"secret {secret.id}: {secret.file}: {kernel_reason(error)}") from error
    if len(value) > SECRET_LIMIT:
        raise BuildError(f"secret {secret.id}: larger than {SECRET_LIMIT >> 10} KiB")
    return value
