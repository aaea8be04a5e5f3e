"""Messages between shell and worker: pickles with their length in front, on a pair of pipes between own processes."""

from __future__ import annotations

import pickle
import struct
import threading
from typing import Any, Protocol

__all__ = ["Channel"]

LENGTH = struct.Struct("<Q")


class Raw(Protocol):
    """One end of a pipe, unbuffered: reads and writes may be short."""

    def read(self, size: int, /) -> bytes | None: ...

    def write(self, data: memoryview, /) -> int | None: ...

    def close(self) -> None: ...


class Channel:
    """Both directions. send() may be called by several threads, receive() by one."""

    def __init__(self, incoming: Any, outgoing: Any) -> None:
        self._incoming: Raw = incoming
        self._outgoing: Raw = outgoing
        self._lock = threading.Lock()

    def send(self, message: object) -> None:
        """Raises OSError when nobody is at the other end, and whatever pickle raises, before anything was sent."""
        data = pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL)
        with self._lock:
            for part in (LENGTH.pack(len(data)), data):
                left = memoryview(part)
                while left:
                    left = left[self._outgoing.write(left) or 0 :]

    def receive(self) -> Any:
        """The next message. Raises EOFError when the other end is closed."""
        (length,) = LENGTH.unpack(self._exactly(LENGTH.size))
        return pickle.loads(self._exactly(length))

    def close(self) -> None:
        """Close both ends."""
        for end in (self._outgoing, self._incoming):
            end.close()

    def _exactly(self, size: int) -> bytearray:
        data = bytearray()
        while len(data) < size:
            piece = self._incoming.read(size - len(data))
            if not piece:
                raise EOFError
            data += piece
        return data
