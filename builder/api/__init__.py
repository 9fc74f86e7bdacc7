"""The public API: the functions and classes of the package `pybuild`, for programs that embed it.

Each module has one kind of operation. It calls what the command of the same name calls, and adds cancellation and
errors with one base class.
"""
