"""Exit codes."""

__all__ = ("EXIT_ENDED", "EXIT_FINDINGS", "EXIT_OUTSIDE", "EXIT_STOPPED", "EXIT_US", "EXIT_USAGE")

EXIT_FINDINGS = 1
"""A protocol has errors, a replay differs, a record is damaged."""
EXIT_USAGE = 2
EXIT_ENDED = 3
"""The conversation ended otherwise than as success or partial."""
EXIT_OUTSIDE = 4
"""A model, a file or the disk failed."""
EXIT_US = 70
EXIT_STOPPED = 130
"""Ctrl-C."""
