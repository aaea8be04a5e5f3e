"""A small real model, made once, and engines on it. One thread: on busy cores more of them only wait for each other."""

import pytest


class Told:
    """Keeps what an engine tells."""

    def __init__(self):
        self.ticks = []
        self.said = []

    def tick(self, done, total, preview=None):
        self.ticks.append((done, total, preview))

    def say(self, text):
        self.said.append(text)

    mention = say


@pytest.fixture(scope="session")
def small_folder(tmp_path_factory):
    """A folder of the Stable Diffusion 1 kind, random weights."""
    from models_small import small_sd1

    return small_sd1(tmp_path_factory.mktemp("small"))


@pytest.fixture(scope="session")
def small_model(small_folder):
    """Its record."""
    from models_small import small_record

    return small_record(small_folder)


@pytest.fixture(scope="session")
def loaded_engine(small_model):
    """The real engine with the small model loaded."""
    from invoke_shell.runtime.engine import DiffusersEngine
    from invoke_shell.runtime.policy import Policy

    engine = DiffusersEngine(Policy(device="cpu", threads=1))
    engine.warm(small_model)
    return engine


@pytest.fixture
def real_engine(loaded_engine):
    """The real engine, telling nobody; shared, so tests must not rely on what it has cached."""
    from invoke_shell.runtime.policy import SILENT

    return loaded_engine.watch(SILENT)


@pytest.fixture
def told():
    """A watcher that remembers."""
    return Told()


@pytest.fixture(scope="session")
def diffusers_pipe(small_folder, loaded_engine):
    """diffusers' own pipeline of the same folder, its weights copied to aligned memory as ours are."""
    from diffusers import StableDiffusionPipeline

    pipe = StableDiffusionPipeline.from_pretrained(small_folder, local_files_only=True)
    pipe.set_progress_bar_config(disable=True)
    for network in (pipe.unet, pipe.vae, pipe.text_encoder):
        for tensor in (*network.parameters(), *network.buffers()):
            tensor.data = tensor.data.clone()
    return pipe
