"""The draughtsman: the same seed draws the same picture, and training never sees what is held out."""

from random import Random

import pytest

from training.pocket import words
from training.pocket.draw import draw
from training.pocket.scene import Scene, caption, held_out, scene, triples, vocabulary


@pytest.mark.parametrize("seed", [0, 7, 2**30])
def test_same_seed_draws_the_same_picture(seed: int):
    first, second = draw(scene(seed)), draw(scene(seed))

    assert first.tobytes() == second.tobytes()
    assert first.size == (128, 128)
    assert caption(scene(seed)) == caption(scene(seed))


def test_other_seeds_draw_other_pictures():
    assert len({draw(scene(seed)).tobytes() for seed in range(50)}) == 50


def test_training_never_draws_what_is_held_out():
    for seed in range(100_000):
        assert not any(held_out(*triple) for triple in triples(scene(seed, simple=seed % 8 == 0)))


def test_held_scenes_hold_nothing_that_training_draws():
    for seed in range(500):
        assert all(held_out(*triple) for triple in triples(scene(seed, held=True)))


def test_one_combination_in_ten_is_held_out():
    grounds = [f"{colour} {kind}" for kind in words.GROUNDS for colour in words.COLOURS] + list(words.SCENERY)
    combinations = [(thing, colour, ground) for thing in words.THINGS for colour in words.COLOURS for ground in grounds]

    share = sum(held_out(*triple) for triple in combinations) / len(combinations)

    assert 0.09 < share < 0.11


def test_hold_out_does_not_change_between_versions():
    held = [thing for thing in words.THINGS if held_out(thing, "blue", "night sky")]

    assert held == ["square", "cross"]
    assert not held_out("boat", "red", "green sea")


def test_every_word_of_every_caption_is_in_the_vocabulary():
    known = set(vocabulary())

    for seed in range(5_000):
        assert set(caption(scene(seed)).replace(",", " ").split()) <= known


def test_every_word_of_the_vocabulary_is_used():
    used = {word for seed in range(20_000) for word in caption(scene(seed)).replace(",", " ").split()}

    assert used == set(vocabulary())


def test_captions_of_one_scene_differ_in_wording_only():
    drawn = next(one for one in map(scene, range(1000)) if one.place == "left" and one.said >= {"colour", "place"})
    texts = {caption(drawn, Random(i)) for i in range(30)}

    assert len(texts) > 10
    assert all({drawn.things[0].name, "left"} <= set(text.replace(",", "").split()) for text in texts)


def test_things_stay_inside_the_picture():
    for drawn in map(scene, range(2_000)):
        for thing in drawn.things:
            reach = thing.extent / 2.3
            assert reach < min(thing.x, thing.y)
            assert max(thing.x, thing.y) < 1 - reach


def test_two_things_stand_as_the_relation_says():
    def stands(drawn: Scene) -> bool:
        first, second = drawn.things
        return {
            "above": first.y < second.y,
            "below": first.y > second.y,
            "left": first.x < second.x,
            "right": first.x > second.x,
        }[drawn.relation]

    pairs = [drawn for drawn in map(scene, range(2_000)) if drawn.relation]

    assert len(pairs) > 400
    assert all(map(stands, pairs))
