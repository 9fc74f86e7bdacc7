"""The errors of blobs, images and registries."""


class OciError(Exception):
    """Base class of the errors of this package. The message is complete; *hint* may say what to do."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class InvalidDigest(OciError):
    """A text is not a digest of a known algorithm."""


class DigestMismatch(OciError):
    """Content does not have the digest that names it."""


class SizeMismatch(OciError):
    """Content is shorter or longer than its descriptor says."""


class BlobNotFound(OciError):
    """A blob that is referred to is not in the store."""


class ImageNotFound(OciError):
    """No image has this name."""


class OtherPlatform(ImageNotFound):
    """An image has this name, but not for the platform that was asked for; *present* are those that it is for."""

    def __init__(self, message: str, *, hint: str = "", present: tuple[str, ...] = ()) -> None:
        super().__init__(message, hint=hint)
        self.present = present


class InvalidImage(OciError):
    """A document or an archive violates the specification."""


class LayerError(InvalidImage):
    """A layer archive is malformed, malicious or exceeds a limit."""


class RegistryError(OciError):
    """A registry refused, failed or sent an invalid answer.

    *status* is that of its answer, 0 without one; *code* is the error code of the registry (distribution-spec, "Error
    Codes"), empty without one.
    """

    def __init__(self, message: str, *, hint: str = "", status: int = 0, code: str = "") -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.code = code


class RegistryDenied(RegistryError):
    """A registry requires authentication, or denies this user access."""


class RegistryUnavailable(RegistryError):
    """A registry could not be reached or could not answer now; the same request may succeed later.

    *retry_after* is how many seconds it asked to wait, None when it did not say. *absent*: its name has no address, or
    the host refuses connections, so that retries help little. *hung*: a connection or an answer timed out. Without a
    *status* there was no answer at all.
    """

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        status: int = 0,
        retry_after: float | None = None,
        absent: bool = False,
        hung: bool = False,
        code: str = "",
    ) -> None:
        super().__init__(message, hint=hint, status=status, code=code)
        self.retry_after = retry_after
        self.absent = absent
        self.hung = hung


class CredentialsError(OciError):
    """A file or a helper program that holds credentials cannot be used."""


class HelperMissing(CredentialsError):
    """The configured credential helper is not installed."""
