"""Commands that report on containers and change nothing."""
