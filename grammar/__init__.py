"""Every notation a user may write: pure text to values. Depends on lark only and never opens a file."""
