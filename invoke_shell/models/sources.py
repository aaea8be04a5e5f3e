"""Models from Hugging Face's hub: only when asked, with progress, each hash checked.

The files go into the cache that all programs share (HF_HOME); what is there is not fetched again. A connection that
breaks is taken up where it broke; a download that is stopped keeps its whole files (the library drops the half one).
Without a network this says so in one sentence, at once.
"""

from __future__ import annotations

import os
import re
import socket
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from invoke_shell.errors import BlockedError, Cancelled, nearest
from invoke_shell.models.files import Tick, quiet, shown
from invoke_shell.models.folders import INDEX
from invoke_shell.models.hashing import LOADED, SKIPPED, Digests

__all__ = ["Download", "Source", "chosen", "download", "read_source"]

ENDPOINT = "https://huggingface.co"
PATIENCE = 0.8  # seconds for the first sign of a network
SOURCE = re.compile(r"hf:([\w.-]+/[\w.-]+)(?::(.+))?")
# https://huggingface.co/owner/name/resolve/main/file?download=true, and the pages a browser shows
PAGE = re.compile(
    r"https?://(?:www\.)?(?:huggingface\.co|hf\.co)/([\w.-]+/[\w.-]+)"
    r"(?:/(?:blob|resolve|tree)/main(?:/([^?#]+))?)?/?(?:[?#].*)?"
)
ADDRESS = re.compile(r"(https?://|civitai:)")
VARIANT = re.compile(r"\.(fp16|bf16|fp32|ema|non_ema)\b")
SINGLE = (".safetensors", ".gguf")
MOST = 8  # files that are listed


@dataclass(frozen=True)
class Source:
    """`hf:owner/name` or `hf:owner/name:file`; file is "" for the whole model."""

    repository: str
    file: str = ""

    def __str__(self) -> str:
        return f"hf:{self.repository}" + (f":{self.file}" if self.file else "")


@dataclass(frozen=True, kw_only=True)
class Download:
    """path: the file, or the folder of a diffusers model. source: with the revision it came from."""

    path: Path
    source: str


def read_source(text: str) -> Source | None:
    """The source a word names, or a page's address; None for a path. Raises BlockedError for half a one."""
    if page := PAGE.fullmatch(text):
        return Source(page[1], unquote(page[2] or ""))
    if ADDRESS.match(text):
        hint = "download it with another program and then: models add PATH"
        raise BlockedError(
            f"{shown(text)} is not at Hugging Face, the one site asked here", hint=hint, code="bad-value"
        )
    if not text.startswith("hf:"):
        return None
    if (m := SOURCE.fullmatch(text)) is None:
        hint = "as in: models add hf:owner/name or hf:owner/name:file.safetensors"
        raise BlockedError(f"{shown(text)} names no repository", hint=hint, code="bad-value")
    return Source(m[1], m[2] or "")


def download(source: Source, digests: Digests, tick: Tick = quiet) -> Download:
    """Fetch what is not here yet. tick: told the bytes of all files; may raise Cancelled to stop.

    Raises BlockedError: no network, no such model, nothing in it that is safe to load, a wrong hash.
    """
    check_network()
    from huggingface_hub import HfApi

    endpoint = _endpoint()
    told = _asked(source, lambda: HfApi(endpoint=endpoint).model_info(source.repository, files_metadata=True))
    listed = {s.rfilename: s for s in told.siblings or ()}
    names = chosen(source, {name: s.size or 0 for name, s in listed.items()})
    fetcher = _Fetcher(source, str(told.sha), endpoint, sum(listed[n].size or 0 for n in names), tick)
    paths = {name: fetcher.fetch(name) for name in names}
    for name, path in paths.items():
        _check(source, name, path, listed[name].lfs, digests)
    whole = paths[names[0]] if len(names) == 1 else paths[INDEX if INDEX in paths else "config.json"].parent
    return Download(path=whole, source=f"hf:{source.repository}@{told.sha}")


# -- the network -----------------------------------------------------------------------------------------------------


def _endpoint() -> str:
    return os.environ.get("HF_ENDPOINT", "").rstrip("/") or ENDPOINT


def check_network() -> None:
    """Raise BlockedError within a second when nobody answers; the library would wait and try again for minutes."""
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE"):
        raise BlockedError("HF_HUB_OFFLINE forbids downloads", hint="unset it to download", code="missing-file")
    host, port = _first_hop(_endpoint())
    reached = threading.Event()

    def knock() -> None:
        try:
            socket.create_connection((host, port), PATIENCE).close()
            reached.set()
        except OSError:
            pass
        finally:
            done.set()

    done = threading.Event()
    # In a thread: looking a name up cannot be told to hurry.
    threading.Thread(target=knock, daemon=True).start()
    done.wait(PATIENCE)
    if not reached.is_set():
        hint = "download it with another program and then: models add PATH"
        raise BlockedError(f"{host} does not answer, so there is no network", hint=hint, code="missing-file")


def _first_hop(url: str) -> tuple[str, int]:
    """Host and port that are called first: the site's, or a proxy's."""
    from urllib.request import getproxies, proxy_bypass

    there = urlsplit(url)
    proxy = None if proxy_bypass(there.hostname or "") else getproxies().get(there.scheme)
    hop = urlsplit(proxy if proxy and "://" in proxy else f"http://{proxy}") if proxy else there
    return hop.hostname or "", hop.port or (443 if hop.scheme == "https" else 80)


def _asked(source: Source, ask: Any) -> Any:
    """The library's answer; what it raises as a sentence."""
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, RepositoryNotFoundError

    try:
        return ask()
    except Cancelled:
        raise
    except GatedRepoError as error:
        page = f"{_endpoint()}/{source.repository}"
        hint = f"accept them at {page}, then run: hf auth login"
        raise BlockedError(f"{source} wants its terms accepted", hint=hint, code="unknown-model") from error
    except RepositoryNotFoundError as error:
        hint = "if it is private: hf auth login"
        raise BlockedError(f"there is no model {source}", hint=hint, code="unknown-model") from error
    except HfHubHTTPError as error:
        status = getattr(error.response, "status_code", "nothing")
        raise BlockedError(f"{source} cannot be fetched: the site answered {status}", code="missing-file") from error
    except Exception as error:  # of the libraries below, and their servers
        hint = "the same command fetches what is missing"
        why = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise BlockedError(
            f"the download of {source} broke off: {why[:200]}", hint=hint, code="missing-file"
        ) from error


# -- files -----------------------------------------------------------------------------------------------------------


def chosen(source: Source, sizes: Mapping[str, int]) -> list[str]:
    """The files of a repository that make the model. sizes: bytes by path. Raises BlockedError when none do."""
    if source.file in sizes:
        return [source.file]
    if source.file:
        near = nearest(source.file, sizes)
        message = f"hf:{source.repository} has no file {shown(source.file)}"
        raise BlockedError(message, hint=f"did you mean {near}?" if near else "", code="unknown-model")
    if INDEX in sizes:
        return _pipeline(source, sizes)
    top = [name for name in sizes if "/" not in name]
    weights = [name for name in top if name.endswith(SINGLE)]
    if "config.json" in top and len(weights) == 1:
        return ["config.json", *weights]
    if len(weights) != 1:
        raise _unclear(source, weights, sizes)
    return weights


def _unclear(source: Source, weights: Sequence[str], sizes: Mapping[str, int]) -> BlockedError:
    some = weights or [name for name in sizes if name.endswith(SINGLE)]
    if not some:
        why = "has no safetensors file; a pickle could run any program"
        return BlockedError(f"{source} {why}", hint="look for another upload of the model", code="bad-model")
    listed = ", ".join(shown(name) for name in sorted(some)[:MOST]) + (" …" if len(some) > MOST else "")
    hint = f"say which: models add {source}:{sorted(some)[0]}"
    return BlockedError(f"{source} has several models: {listed}", hint=hint, code="unknown-model")


def _pipeline(source: Source, sizes: Mapping[str, int]) -> list[str]:
    """Index, configs and weights of a diffusers folder; of each part the plain weights, or the variant there is."""
    parts: dict[str, list[str]] = {}
    for name in sizes:
        path = PurePosixPath(name)
        if len(path.parts) == 2 and path.parts[0] not in SKIPPED:
            parts.setdefault(path.parts[0], []).append(name)
    found = [INDEX]
    for part, names in sorted(parts.items()):
        weights = [n for n in names if n.endswith(".safetensors")]
        if not weights and any(n.endswith(".bin") for n in names):
            why = f"has only pickled weights in {part}, which could run any program"
            raise BlockedError(f"{source} {why}", hint="look for another upload of the model", code="bad-model")
        plain = [n for n in weights if not VARIANT.search(n)] or weights
        found += [n for n in names if n.endswith(LOADED) and (n in plain or n not in weights)]
    return found


class _Fetcher:
    """Fetches files of one revision, and counts their bytes together."""

    def __init__(self, source: Source, revision: str, endpoint: str, total: int, tick: Tick) -> None:
        self.source, self.revision, self.endpoint, self.total, self.tick = source, revision, endpoint, total, tick
        self.done = 0

    def fetch(self, name: str) -> Path:
        """The path of a file in the cache, downloaded if it is not there."""
        from huggingface_hub import hf_hub_download

        before = self.done
        path = Path(
            _asked(
                self.source,
                lambda: hf_hub_download(
                    self.source.repository, name, revision=self.revision, endpoint=self.endpoint, tqdm_class=self.bar()
                ),
            )
        )
        self.done = before + path.stat().st_size
        self.tick(self.done, self.total)
        return path

    def bar(self) -> Any:
        """A progress bar as the library wants it, which draws nothing and tells."""
        from tqdm import tqdm  # type: ignore[import-untyped]  # comes with the library

        def begin(bar: Any, *args: Any, initial: int = 0, desc: str = "", **options: Any) -> None:
            # Of two bars for one file the second counts what came over the wire, which may be packed.
            bar.counts = not desc.endswith("downloading bytes")
            self.done += initial
            tqdm.__init__(bar, disable=True)

        def update(bar: Any, count: float | None = 1) -> None:
            self.done += int(count or 0) if bar.counts else 0
            self.tick(min(self.done, self.total), self.total)

        return type("Bar", (tqdm,), {"__init__": begin, "update": update})


def _check(source: Source, name: str, path: Path, lfs: Any, digests: Digests) -> None:
    """Compare with the hash that the site promised; a file that has another is deleted."""
    if lfs is None or digests.of(path, ("blake3", "sha256"))["sha256"] == lfs.sha256:
        return
    for each in (path.resolve(), path):
        each.unlink(missing_ok=True)
    why = f"{shown(name)} of {source} did not arrive as it was sent, and was deleted"
    raise BlockedError(why, hint="the same command fetches it again", code="bad-model")
