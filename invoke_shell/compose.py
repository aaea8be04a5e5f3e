"""The place of composition: registry, catalogue, settings, view, store and runtime become a session."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datetime import datetime

    from invoke_shell.pipeline.registry import Registry
    from invoke_shell.shell.archive.keeper import Keeper
    from invoke_shell.shell.display.view import View
    from invoke_shell.shell.home import Home
    from invoke_shell.shell.session import Session
    from invoke_shell.shell.settings import Settings
    from invoke_shell.shell.workbench import Runtime

__all__ = ["Options", "compose", "everything"]

ENGINE = "INVOKE_SHELL_ENGINE"  # "fake": no torch, for tests


@dataclass(frozen=True, kw_only=True)
class Options:
    """How a session is opened: the program's flags of these names. go_on: take up the last session."""

    home: str | None = None
    outdir: Path | None = None
    model: str | None = None
    device: str | None = None
    go_on: bool = False
    session: str | None = None
    inline: bool = False
    dry_run: bool = False
    json: bool = False
    events: Path | None = None
    no_color: bool = False
    quiet: bool = False
    verbose: bool = False


def compose(options: Options, *, interactive: bool) -> Session:
    """A session over this home. Raises InvokeShellError."""
    from invoke_shell.models.catalogue import Catalogue
    from invoke_shell.models.hashing import Digests
    from invoke_shell.shell.home import Home
    from invoke_shell.shell.session import Session
    from invoke_shell.shell.settings import Settings, read_config

    home = Home.find(options.home)
    registry = everything(home.nodes)
    settings = Settings(registry)
    complaints = read_config(home.config_file, home.cache, settings)
    view = _view(options, settings, interactive=interactive)
    _log(home.log_file, verbose=options.verbose)
    for name in ("model", "device"):
        if getattr(options, name):
            settings.set(name, getattr(options, name))
    catalogue = Catalogue([home.models], Digests(home.cache / "digests.json"), path=home.data / "catalogue.db")
    session = Session(
        home=home,
        registry=registry,
        settings=settings,
        keep=lambda: _keeper(options, home, registry, settings, view),
        catalogue=catalogue,
        view=view,
        start=_starter(home, registry, inline=options.inline, drawn=_redraws(view)),
        interactive=interactive,
        now=_clock(),
    )
    session.dry = options.dry_run
    session.events = _events(options.events)
    for text in (*complaints, *registry.warnings):
        view.say(text, warning=True)
    if options.go_on or options.session:
        session.restore_settings()
    return session


def everything(folder: Path | None = None) -> Registry:
    """Nodes, plugins, the files of a folder of nodes, and the shell's own commands."""
    from dataclasses import replace

    from invoke_shell import commands
    from invoke_shell.shell import builtins

    nodes = commands.registry().with_plugins(folder)
    return replace(nodes, nodes={**nodes.nodes, **builtins.registry().nodes})


def _keeper(options: Options, home: Home, registry: Registry, settings: Settings, view: View) -> Keeper:
    """The store, opened; what a killed run left is put in order. Says what is amiss."""
    from datetime import date

    from invoke_shell.shell.archive.handles import numbers_text
    from invoke_shell.shell.archive.keeper import Keeper
    from invoke_shell.shell.archive.outputs import output_folder
    from invoke_shell.shell.archive.results import Results
    from invoke_shell.shell.archive.store import Store

    store = Store.open(home.data)

    def folder() -> Path:
        setting = settings["outdir"]
        return output_folder(
            outdir=options.outdir, setting=str(setting or ""), home=home.data if home.own else None, day=date.today()
        )

    results = Results(store, folder, lambda: str(settings["filename"]))
    recovered = results.recover()
    if recovered.completed:
        view.say(f"{numbers_text(recovered.completed)}, of a run that was killed, whole and kept", warning=True)
    if options.session:
        session = store.take_up(options.session)
    else:
        session = store.continue_last() if options.go_on else store.new_session()
    for notice in store.notices():
        view.say(notice, warning=True)
    return Keeper(home, registry, store, session, results, view.say)


def _view(options: Options, settings: Settings, *, interactive: bool) -> View:
    from invoke_shell.shell.display.view import JsonView, PlainView

    if options.json:
        return JsonView(quiet=options.quiet)
    if not sys.stdout.isatty() or settings["plain"] or os.environ.get("TERM") == "dumb":
        return PlainView(quiet=options.quiet)
    from invoke_shell.shell.display.screen import TerminalView

    color = not options.no_color and not os.environ.get("NO_COLOR")
    return TerminalView(settings, color=color, quiet=options.quiet)


def _redraws(view: View) -> bool:
    """Whether it is the view that draws; asked by its name, because importing it costs what others need not pay."""
    return type(view).__name__ == "TerminalView"


def _starter(home: Any, registry: Registry, *, inline: bool, drawn: bool) -> Callable[[Settings], Runtime]:
    """How the runtime is started: a worker process, or this one. drawn: somebody looks at pictures in progress."""

    def start(settings: Settings) -> Runtime:
        from invoke_shell.runtime.policy import Policy, Setup

        memory = settings["memory"]
        policy = Policy(
            device=str(settings["device"]),
            deterministic=bool(settings["deterministic"]),
            precision=settings["precision"],
            memory=None if memory is None else int(memory * 1e9),
            threads=settings["threads"],
            offload=settings["offload"],
            tiling=settings["tiling"],
            batch=None if settings["batch"] == "auto" else int(settings["batch"]),
            previews=drawn and settings["preview"] != "off",
        )
        engine: Any = "fake" if os.environ.get(ENGINE) == "fake" else "diffusers"
        setup = Setup(policy=policy, engine=engine, cache=home.cache / "steps", nodes=home.nodes)
        if inline:
            from invoke_shell.runtime.inline import InlineRuntime

            return InlineRuntime(setup, registry)
        from invoke_shell.runtime.worker import WorkerRuntime

        return WorkerRuntime(setup, log=home.log_file)

    return start


def _clock() -> Callable[[], datetime]:
    """The time written into pictures; SOURCE_DATE_EPOCH (seconds since 1970) stops it, for builds that must repeat."""
    from datetime import UTC, datetime

    fixed = os.environ.get("SOURCE_DATE_EPOCH", "")
    if fixed.isdigit():
        return lambda: datetime.fromtimestamp(int(fixed), UTC)
    return lambda: datetime.now(UTC)


def _events(path: Path | None) -> Callable[[Any], None]:
    if path is None:
        return lambda event: None
    import json

    from invoke_shell.errors import OutputError
    from invoke_shell.metadata.visible import visible
    from invoke_shell.pipeline.events import to_plain

    def failed(error: OSError) -> OutputError:
        return OutputError(f"{visible(str(path))} cannot be written: {(error.strerror or str(error)).lower()}")

    try:
        file = path.open("a", encoding="utf-8", buffering=1)
    except OSError as error:
        raise failed(error) from error

    def write(event: Any) -> None:
        try:
            file.write(json.dumps(to_plain(event)) + "\n")
        except OSError as error:
            raise failed(error) from error

    return write


def _log(path: Path, *, verbose: bool) -> None:
    """A rotating log in the home; it holds no prompts at the default level. Opened at the first entry."""
    import logging

    class Lazy(logging.Handler):
        """Becomes the rotating file at its first record: importing that takes as long as parsing a hundred lines."""

        def emit(self, record: logging.LogRecord) -> None:
            from logging.handlers import RotatingFileHandler

            logger.removeHandler(self)
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                file = RotatingFileHandler(path, maxBytes=1_000_000, backupCount=3, encoding="utf-8")
            except OSError:
                logger.addHandler(logging.NullHandler())  # nowhere to write; the session goes on
                return
            file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
            logger.addHandler(file)
            file.handle(record)

    logging.raiseExceptions = False  # a log that a full disk does not take is no reason to write over the screen
    logger = logging.getLogger("invoke_shell")
    for old in list(logger.handlers):
        logger.removeHandler(old)  # of an earlier session in this process
    logger.addHandler(Lazy())
    logger.setLevel(logging.DEBUG if verbose else logging.INFO)
    logger.propagate = False
