"""The mutation pass: takes one defence out of a copy of the tree at a time and expects a named test to notice.

`data` lists the defences by area, `mutant` reads the lists, `tree` makes and edits copies, `run` judges what the test
says. ``python -m tests.mutants --help`` has the choices; README.md of tests says when which part runs.
"""
