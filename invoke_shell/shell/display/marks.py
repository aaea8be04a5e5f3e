"""What stands in front of lines, and the terminals that cannot redraw one."""

from __future__ import annotations

__all__ = ["CONTINUED", "DUMB", "PROMPT"]

PROMPT = "invoke> "
CONTINUED = "    ..> "
DUMB = ("dumb", "unknown", "")  # values of TERM: terminals that cannot move the cursor
