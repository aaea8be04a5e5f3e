"""The judge: right about the draughtsman's own pictures, near chance about shuffled ones."""

import pytest

torch = pytest.importorskip("torch")

from training.pocket.common import pixels  # noqa: E402
from training.pocket.draw import draw  # noqa: E402
from training.pocket.judge import judge, tasks  # noqa: E402

ASKED = tasks(60)


@pytest.fixture(scope="module")
def pictures():
    return pixels(draw(scene) for scene in ASKED)


def shares(answers):
    return {question: sum(right) / len(right) for question, right in answers.items()}


def test_judge_reads_the_draughtsmans_own_pictures(pictures):
    found = shares(judge(pictures, ASKED))

    assert found["background"] == 1
    assert found["colour"] > 0.95
    assert found["thing"] > 0.95
    assert found["place"] > 0.95
    assert found["relation"] > 0.9


def test_judge_is_not_taken_in_by_shuffled_pictures(pictures):
    singles = [i for i, scene in enumerate(ASKED) if scene.relation is None]
    found = shares(judge(pictures[singles], [ASKED[i] for i in singles[1:] + singles[:1]]))

    assert found["background"] < 0.2
    assert found["colour"] < 0.35
    assert found["thing"] < 0.25
    assert found["place"] < 0.35


def test_empty_picture_shows_no_thing():
    single = next(scene for scene in ASKED if scene.relation is None)

    found = shares(judge(torch.ones(1, 3, 128, 128), [single]))

    assert found["thing"] == found["colour"] == 0


def test_asked_combinations_are_all_held_out():
    from training.pocket.scene import held_out, triples

    assert all(held_out(*triple) for scene in ASKED for triple in triples(scene))
