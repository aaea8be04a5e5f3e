"""What tests of the engine share."""

import torch

from invoke_shell.runtime.drawing import denoised, told
from invoke_shell.runtime.start import started


def latents_of(engine, request):
    """What the engine hands to its VAE."""
    model, desk = engine.stock.dressed(request), engine.desk()
    with torch.inference_mode():
        run = started(model, request, desk.place, desk.watcher.say, desk.tiled)
        return denoised(request, run, told(model, request, desk), desk)
