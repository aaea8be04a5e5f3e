"""Samplers of other programs by our names."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from invoke_shell.metadata.foreign.result import Notes
from invoke_shell.metadata.foreign.samplers import AUTOMATIC, EQUAL, NEAREST, sampler
from invoke_shell.pipeline.schedulers import SCHEDULERS

EQUAL_ONES = [
    # AUTOMATIC1111 before 1.9, where the noise levels are in the name
    ("Euler a", "", "euler_a"),
    ("Euler", "", "euler"),
    ("Heun", "", "heun"),
    ("DPM2 a Karras", "", "dpm2_a_karras"),
    ("DPM++ 2M", "", "dpmpp_2m"),
    ("DPM++ 2M Karras", "", "dpmpp_2m_karras"),
    ("DPM++ 2M SDE Karras", "", "dpmpp_2m_sde_karras"),
    ("DPM++ 3M SDE Karras", "", "dpmpp_3m_sde_karras"),
    ("DPM++ SDE Karras", "", "dpmpp_sde_karras"),
    ("UniPC", "", "unipc"),
    ("DDIM", "", "ddim"),
    ("PLMS", "", "pndm"),
    ("LCM", "", "lcm"),
    ("LMS", "", "lms"),
    ("LMS Karras", "", "lms_karras"),
    ("DPM++ 2M SDE Exponential", "", "dpmpp_2m_sde_exponential"),
    # 1.9 and later, and Forge
    ("DPM++ 2M", "Karras", "dpmpp_2m_karras"),
    ("Euler a", "Automatic", "euler_a"),
    ("DPM++ 2M", "Automatic", "dpmpp_2m_karras"),
    ("Euler", "Uniform", "euler"),
    ("Euler", "SGM Uniform", "euler_sgm"),
    ("DPM++ 2M SDE", "Automatic", "dpmpp_2m_sde_exponential"),
    # ComfyUI
    ("euler_ancestral", "normal", "euler_a"),
    ("dpmpp_2m", "karras", "dpmpp_2m_karras"),
    ("dpmpp_2m_sde_gpu", "karras", "dpmpp_2m_sde_karras"),
    ("sample_dpmpp_2m", "normal", "dpmpp_2m"),
    ("uni_pc_bh2", "normal", "unipc"),
    ("dpm_2_ancestral", "", "dpm2_a"),
    ("dpmpp_2m", "sgm_uniform", "dpmpp_2m_sgm"),
    ("euler", "beta", "euler_beta"),
    ("sa_solver", "exponential", "sa_solver_exponential"),
    # InvokeAI 2 and later
    ("k_euler_a", "", "euler_a"),
    ("plms", "", "pndm"),
    ("k_dpmpp_2", "", "dpmpp_2m"),
    ("k_dpm_2_a", "", "dpm2_a"),
    ("k_heun", "", "heun"),
    ("k_lms", "", "lms"),
    ("dpmpp_2m_sde_k", "", "dpmpp_2m_sde_karras"),
    ("kdpm_2_k", "", "dpm2_karras"),
    ("unipc_k", "", "unipc_karras"),
    # NovelAI
    ("k_euler_ancestral", "native", "euler_a"),
    ("k_dpmpp_2m_sde", "karras", "dpmpp_2m_sde_karras"),
    ("ddim_v3", "", "ddim"),
    # mold
    ("euler-ancestral", "", "euler_a"),
]


@pytest.mark.parametrize(("name", "levels", "ours"), EQUAL_ONES)
def test_an_equal_sampler_is_named(name: str, levels: str, ours: str):
    notes = Notes()

    assert sampler(name, levels, notes)["scheduler"] == ours
    assert notes.missing == ()


NEAR_ONES = [
    ("DPM++ 2S a Karras", "", "dpmpp_sde_karras"),
    ("dpmpp_2s_ancestral", "normal", "dpmpp_sde"),
    ("DPM fast", "", "dpmpp_2s"),
    ("heunpp2", "", "heun"),
    ("k_dpmpp_2_a", "", "dpmpp_sde"),
    ("res_multistep_ancestral", "", "euler_a"),
    ("brand new sde", "", "dpmpp_2m_sde"),
    ("nonsense", "", "euler"),
]


@pytest.mark.parametrize(("name", "levels", "ours"), NEAR_ONES)
def test_a_sampler_without_an_equal_is_told_with_the_nearest(name: str, levels: str, ours: str):
    notes = Notes()
    named = sampler(name, levels, notes)

    assert (named["scheduler"], named["near"]) == (None, ours)
    assert notes.missing == (f"no sampler here is {name}; {ours} comes nearest",)


@pytest.mark.parametrize(
    ("name", "levels", "ours", "told"),
    [
        ("dpmpp_2m", "kl_optimal", "dpmpp_2m", "kl_optimal"),
        ("DPM++ 2M SDE Polyexponential", "", "dpmpp_2m_sde", "Polyexponential"),
        ("ddim", "karras", "ddim", "karras"),
    ],
)
def test_noise_levels_without_an_equal_are_said(name: str, levels: str, ours: str, told: str):
    notes = Notes()

    assert sampler(name, levels, notes)["scheduler"] == ours
    assert notes.missing == (f"the noise levels {told} are not carried: {ours} has its own",)


def test_what_automatic_stands_for_is_a_guess():
    notes = Notes()

    assert sampler("DPM++ 3M SDE", "Automatic", notes)["scheduler"] == "dpmpp_3m_sde_exponential"
    assert notes.guessed == (
        "schedule type Automatic is exponential with this sampler, as AUTOMATIC1111 1.9 and later take it",
    )


def test_no_name_is_no_sampler():
    assert sampler("  ", "karras", Notes()) == {}


def test_the_tables_name_schedulers_that_are_there():
    assert {*NEAREST.values(), *EQUAL.values(), *AUTOMATIC} <= set(SCHEDULERS)


@given(st.text(max_size=80), st.text(max_size=20))
def test_any_name_gives_a_scheduler_that_is_there(name: str, levels: str):
    named = sampler(name, levels, Notes())

    assert not named or named["near"] in SCHEDULERS
