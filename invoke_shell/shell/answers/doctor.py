"""What is here and what is amiss: terminal, versions, device, folders, models. One line each."""

from __future__ import annotations

import os
import platform
import sys
from collections import Counter
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from invoke_shell import __version__
from invoke_shell.errors import InvokeShellError, RunError
from invoke_shell.metadata.visible import visible
from invoke_shell.records import Image
from invoke_shell.shell.display.pictures import Pictures
from invoke_shell.shell.display.screen import TerminalView
from invoke_shell.shell.display.terminal import PROTOCOLS
from invoke_shell.shell.session import Session

__all__ = ["card", "examine", "show_cards"]

CARD = 32  # columns of a test card
GONE = 5  # models without their files that are named
PACKAGES = ("torch", "diffusers", "transformers", "safetensors", "pillow", "prompt_toolkit", "blake3")


def examine(session: Session) -> Iterator[str]:
    """Lines for people; a line that begins with `!` says what is amiss."""
    yield f"invoke_shell {__version__}, Python {platform.python_version()}, {platform.system()} {platform.machine()}"
    yield from _packages()
    yield _terminal(session)
    yield _device(session)
    yield from _folders(session)
    yield from _models(session)
    yield from (f"! {warning}" for warning in session.registry.warnings)


def _packages() -> Iterator[str]:
    found = []
    for name in PACKAGES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            yield f"! {name} is not installed"
    yield "packages   " + ", ".join(found)


def _terminal(session: Session) -> str:
    try:
        there = _pictures(session).terminal(setting=session.settings["pictures"], plain=session.settings["plain"])
    except InvokeShellError as error:
        return f"! pictures  {error.message}"
    return f"pictures   {there.protocol}: {visible(there.why)}"


def _pictures(session: Session) -> Pictures:
    """The view's own, which asks the terminal once and keeps the keys typed meanwhile; else one of this output."""
    if isinstance(session.view, TerminalView):
        return session.view.pictures
    return Pictures(sys.stdin, sys.stdout, os.environ)


def show_cards(session: Session) -> None:
    """Draw the test card in every protocol, so that the person sees which of them this terminal knows."""
    why = session.view.why_plain if isinstance(session.view, TerminalView) else "the output is not a terminal"
    if why or not isinstance(session.view, TerminalView):
        hint = "set plain off" if why == "plain is on" else "doctor says what is here"
        raise RunError(f"test cards need a terminal in colour, and {why}", hint=hint, code="bad-usage")
    say = session.view.text
    say("Every protocol draws eight colours above a ramp to white. Which do you see?")
    for protocol in PROTOCOLS:
        if protocol != "path":
            say(f"\n{protocol}")
            session.view.show_as(protocol, card(), CARD)
    say(f"\n{_terminal(session)}")
    say("If a better one is whole above:  set --keep pictures NAME")


def card() -> Image:
    """A test card of 64 x 32 pixels."""
    colours = [bytes(255 * bool(n & bit) for bit in (4, 2, 1)) for n in range(8)]
    bars = b"".join(colour * 8 for colour in colours)
    ramp = b"".join(bytes([n * 255 // 63]) * 3 for n in range(64))
    return Image(mode="RGB", width=64, height=32, pixels=bars * 16 + ramp * 16)


def _device(session: Session) -> str:
    try:
        env = session.runtime.environment()
    except InvokeShellError as error:
        return f"! engine    {error.message}"
    return f"engine     {env.get('device')} ({visible(str(env.get('device_name')))}), {env.get('threads')} threads"


def _folders(session: Session) -> Iterator[str]:
    home = session.home
    for label, folder in (("data", home.data), ("config", home.config), ("pictures", session.keeper.results.folder())):
        yield f"{'' if _writable(folder) else '! '}{label:<10} {visible(str(folder))}" + (
            "" if _writable(folder) else " cannot be written"
        )
    if session.keeper.store.in_memory:
        yield "! the session is kept in memory only"


def _writable(folder: Path) -> bool:
    """Whether a folder, or the nearest one above it that is there, can be written."""
    there = next((p for p in (folder, *folder.parents) if p.exists()), folder)
    return os.access(there, os.W_OK)


def _models(session: Session) -> Iterator[str]:
    here = session.catalogue.entries()
    counts = Counter(entry.kind for entry in here)
    yield "models     " + ", ".join(f"{count} {kind}" for kind, count in counts.most_common())
    gone = [entry for entry in here if not entry.path.exists()]
    for entry in gone[:GONE]:
        yield f"! {visible(entry.name)} is no longer at {visible(str(entry.path))}"
    if len(gone) > GONE:
        yield f"! and {len(gone) - GONE} more models: models scan takes in where they are now"
