"""Every notation that a user may write: text to values, pure. Depends on lark only and opens no file of the user."""

MAX_TEXT = 4 << 20
"""The most characters in a Dockerfile. Docker has no such limit; what it has is in `grammar.dockerfile.lines`."""
