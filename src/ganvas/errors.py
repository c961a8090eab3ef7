"""The one exception that a user is meant to read."""

from __future__ import annotations


class UserError(Exception):
    """Something the user can put right: one plain line that says what is wrong and what to do.

    The command line prints the message alone and exits with status 2; a traceback appears only with `--debug`.
    """
