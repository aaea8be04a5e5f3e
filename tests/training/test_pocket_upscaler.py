"""The upscalers in the box are loaded like any other and beat Lanczos on drawings they never saw."""

import pytest

from invoke_shell.models.catalogue import Catalogue
from invoke_shell.runtime.upscalers import load_upscaler


@pytest.mark.parametrize("scale", [2, 4])
def test_the_upscalers_in_the_box_beat_lanczos_by_two_decibels_on_held_out_drawings(scale):
    import torch

    from training.pocket.upscaler import measure

    record = Catalogue().find(f"pocket-{scale}x", "upscaler")
    network = load_upscaler(record, torch.device("cpu")).network

    ours, lanczos = measure(network)

    assert network.scale == scale
    assert ours > lanczos + 2.0
