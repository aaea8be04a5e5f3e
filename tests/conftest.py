"""What every test may ask for. The kit holds the plain functions; these are only their fixtures."""

import os

import pytest
from hypothesis import HealthCheck, settings

# One shared machine, sometimes busy: no deadlines, and few examples unless more are asked for.
settings.register_profile("ci", max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("long", max_examples=1000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


@pytest.fixture(scope="session")
def registry():
    """The built-in nodes and the kit's own."""
    from pipeline_kit import REGISTRY

    return REGISTRY


@pytest.fixture(scope="session")
def builtin_registry():
    """The built-in nodes alone."""
    from invoke_shell import commands

    return commands.registry()


@pytest.fixture
def host():
    """A process to run in: the fake engine, pictures from memory."""
    from pipeline_kit import FakeHost

    return FakeHost()
