"""The public door: the functions and classes that `pybuild` names, for programs that embed it.

Each module holds one kind of operation. It calls what the command of the same name calls, and adds what a program needs
and a command has by itself: cancellation, and errors that have one base class.
"""
