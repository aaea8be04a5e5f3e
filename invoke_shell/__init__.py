"""invoke_shell: a pipe-style command line for Stable Diffusion. Public names for node authors."""

from __future__ import annotations

__version__ = "0.1.0"
