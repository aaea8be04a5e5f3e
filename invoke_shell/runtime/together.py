"""Several pictures of one shape, drawn together: one call of the U-Net for all, everything else for each by itself.

Each picture is drawn by the same code as alone, in a thread of its own that stands still at every model call; only one
of them runs at a time, in a fixed order. The thread that started them makes the call for all and hands out the rows.
So noise, schedulers, guidance and decoding know nothing of a batch, and n pictures cannot share noise.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from queue import SimpleQueue
from threading import Thread
from typing import Any

import torch
from torch import Tensor

from invoke_shell.records import Made
from invoke_shell.runtime._diffusers import Denoiser

__all__ = ["drawn_together"]

Draw = Callable[[Denoiser], Made]


class _Stopped(Exception):
    """Ends a picture because another one of its batch ended."""


@dataclass(frozen=True, kw_only=True)
class _Call:
    """What a U-Net is called with; rows of one picture."""

    sample: Tensor
    timestep: Tensor
    told: Mapping[str, Any]


@dataclass(eq=False)
class _Seat:
    """One picture of a batch; also the U-Net that its code sees."""

    unet: Any
    draw: Draw
    asked: SimpleQueue[Any] = field(default_factory=SimpleQueue)
    answers: SimpleQueue[Any] = field(default_factory=SimpleQueue)
    thread: Thread | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.unet, name)  # config, dtype, parameters ...

    def __call__(self, sample: Tensor, timestep: Tensor, *, return_dict: bool, **told: Any) -> tuple[Tensor]:
        self.asked.put(_Call(sample=sample, timestep=timestep, told=told))
        answer = self.answers.get()
        if isinstance(answer, BaseException):
            raise answer
        return (answer,)

    def go_on(self, answer: Any = None) -> _Call | Made:
        """Run to the next model call or to the picture. Raises what its code raises."""
        if self.thread is None:
            self.thread = Thread(target=self._run, daemon=True)
            self.thread.start()
        else:
            self.answers.put(answer)
        found = self.asked.get()
        if isinstance(found, BaseException):
            raise found
        return found  # type: ignore[no-any-return]

    def stop(self) -> None:
        """End the thread, if it stands at a call."""
        if self.thread is not None:
            self.answers.put(_Stopped())
            self.thread.join()

    def _run(self) -> None:
        try:
            with torch.inference_mode():
                self.asked.put(self.draw(self))
        except BaseException as error:  # told where the picture was asked for
            self.asked.put(error)


def drawn_together(unet: Denoiser, draws: Sequence[Draw]) -> list[Made]:
    """A picture of each draw, in order. draws: are given the U-Net to call; all make as many calls of one shape."""
    seats = [_Seat(unet=unet, draw=draw) for draw in draws]
    try:
        found = [seat.go_on() for seat in seats]
        while isinstance(found[0], _Call):
            answers = _answers(unet, found)
            found = [seat.go_on(answer) for seat, answer in zip(seats, answers, strict=True)]
        return [made for made in found if isinstance(made, Made)]
    except BaseException:
        for seat in seats:
            seat.stop()
        raise


def _answers(unet: Any, calls: Sequence[Any]) -> Sequence[Tensor]:
    """The U-Net's answer to each call, made in one. Rows lie picture by picture."""
    told = _joined([call.told for call in calls])
    guess = unet(torch.cat([call.sample for call in calls]), calls[0].timestep, **told, return_dict=False)[0]
    return guess.chunk(len(calls))  # type: ignore[no-any-return]


def _joined(several: Sequence[Any]) -> Any:
    """Tensors row by row, in dictionaries too."""
    first = several[0]
    if isinstance(first, Tensor):
        return torch.cat(list(several))
    if isinstance(first, Mapping):
        return {name: _joined([one[name] for one in several]) for name in first}
    return first
