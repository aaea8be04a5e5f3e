"""A headless Chromium, spoken to through a pipe: what a page is, what it does when it is used, what it asks for."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CHROMIUM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), ""
)


class Page:
    """One page. asked: every address it wanted; said: errors of its console, refused things among them."""

    def __init__(self, into: int, out: int) -> None:
        self.into, self.out = into, out
        self.number = 0
        self.heard = b""
        self.session = ""
        self.asked: list[str] = []
        self.said: list[str] = []

    def open(self, address: str) -> None:
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Network", "Log", "Runtime", "Page"):
            self.call(f"{domain}.enable")
        self.call("Page.navigate", url=address)
        assert self.run(
            "new Promise(done => document.readyState === 'complete' ? done(true) : onload = () => done(true))"
        )

    def run(self, script: str) -> Any:
        """The value of an expression in the page."""
        answer = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        os.write(
            self.into, json.dumps({**message, **({"sessionId": self.session} if self.session else {})}).encode() + b"\0"
        )
        while True:
            heard = self.next()
            if heard.get("id") == self.number:
                assert "error" not in heard, heard
                return heard["result"]
            self.note(heard)

    def next(self) -> dict[str, Any]:
        while b"\0" not in self.heard:
            piece = os.read(self.out, 65536)
            assert piece, "the browser is gone"
            self.heard += piece
        message, _, self.heard = self.heard.partition(b"\0")
        return json.loads(message)

    def note(self, event: dict[str, Any]) -> None:
        params = event.get("params", {})
        if event.get("method") == "Network.requestWillBeSent":
            self.asked.append(params["request"]["url"])
        elif event.get("method") == "Log.entryAdded":
            self.said.append(params["entry"]["text"])


@contextmanager
def opened(path: Path, folder: Path, fragment: str = "") -> Iterator[Page]:
    """A file on a page. folder: for what the browser writes."""
    to_browser, from_browser = os.pipe(), os.pipe()
    argv = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--remote-debugging-pipe",
            f"--user-data-dir={folder}"]  # fmt: skip

    def pipes() -> None:
        os.dup2(to_browser[0], 3)
        os.dup2(from_browser[1], 4)

    program = subprocess.Popen(
        argv, close_fds=False, preexec_fn=pipes, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    os.close(to_browser[0])
    os.close(from_browser[1])
    try:
        page = Page(to_browser[1], from_browser[0])
        page.open(path.as_uri() + (f"#{fragment}" if fragment else ""))
        yield page
    finally:
        program.kill()
        program.wait()
        os.close(to_browser[1])
        os.close(from_browser[0])
