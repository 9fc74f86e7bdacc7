"""Reading the secrets that a request names. Values are returned and never stored."""

import os

from pybuild.builder.errors import BuildError
from pybuild.builder.request import Secret
from pybuild.runtime.errors import kernel_reason

SECRET_LIMIT = 500 << 10
"""The most bytes of a secret, as in BuildKit."""


def read_secret(secret: Secret) -> bytes:
    """Return the value of a secret. Raises BuildError when its file or variable cannot be read."""
    if secret.file is None:
        value = os.environb.get(os.fsencode(secret.variable))
        if value is None:
            raise BuildError(f"secret {secret.id}: the variable {secret.variable} is not set")
        return value
    try:
        with secret.file.open("rb") as file:
            value = file.read(SECRET_LIMIT + 1)
    except OSError as error:
        raise BuildError(f"secret {secret.id}: {secret.file}: {kernel_reason(error)}") from error
    if len(value) > SECRET_LIMIT:
        raise BuildError(f"secret {secret.id}: larger than {SECRET_LIMIT >> 10} KiB")
    return value
