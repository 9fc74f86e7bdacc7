"""Every notation that a user may write: text to values, pure. Depends on lark only and never opens a file."""
