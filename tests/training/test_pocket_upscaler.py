"""The upscaler in the box is loaded like any other and is better than Lanczos on drawings it never saw."""

from invoke_shell.models.catalogue import Catalogue
from invoke_shell.runtime.upscalers import load_upscaler


def test_the_upscaler_in_the_box_beats_lanczos_on_held_out_drawings():
    import torch

    from training.pocket.upscaler import measure

    record = Catalogue().find("pocket-2x", "upscaler")
    network = load_upscaler(record, torch.device("cpu")).network

    ours, lanczos = measure(network)

    assert ours > lanczos + 1.0
