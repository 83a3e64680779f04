"""How random bits are compiled on a processor."""

from __future__ import annotations

import re
from collections import Counter

import pytest

pytest.importorskip("jax")

import jax
import jax.numpy as jnp
import numpy as np
from cortexspec_jax.emit.helpers import counted, draw_words, split_words, threefry

NEURONS, TRIALS = 7, 48
SITE = (3, 4)


def words(n):
    keys = (jnp.int32(0), jnp.arange(TRIALS)[None], n)
    return draw_words(SITE, counted((NEURONS, 0), rank=2), *keys)


def test_a_key_is_not_computed_for_each_neuron():
    """A loop over [neuron, trial] has the rounds of its own numbers, none of the keys [trial]."""
    if jax.default_backend() != "cpu":
        pytest.skip("calls are kept apart on a processor alone")
    text = jax.jit(lambda n: words(n)[0]).lower(jnp.int32(0)).compile().as_text()
    rounds = [Counter(re.findall(r"= u32\[([\d,]*)\]\S* xor\(", part)) for part in text.split("\n\n")]
    own = [found for found in rounds if found[f"{NEURONS},{TRIALS}"]]
    assert own and all(found[f"1,{TRIALS}"] < 5 for found in own)


def test_keys_apart_are_the_keys():
    key = threefry(split_words(0), SITE)
    for number in (np.arange(TRIALS)[None], np.array(5)):
        key = threefry(key, split_words(number))
    expected = threefry(key, (jnp.uint32(0), counted((NEURONS, 0), rank=2)))
    for found in (words(jnp.int32(5)), jax.jit(words)(5), [each[0] for each in jax.vmap(words)(jnp.array([5, 6]))]):
        np.testing.assert_array_equal(np.array(found), np.array(expected))
