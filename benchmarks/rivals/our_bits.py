"""The random bits that CortexSpec draws, by hand: Threefry-2x32-20 keyed by seed, site, trial and step, counted by neuron."""

from hashlib import sha256

import numpy as np

from benchmarks.binary_workload import Array

ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
PARITY = 0x1BD11BDA
SEED = 0
SITE = "cells.x#0"
"""What the draws of the start and of the update are keyed by; only the second has a step."""
Words = tuple[Array, ...]


def threefry(key: Words, counter: Words) -> Words:
    """Two words under a key of two; arrays are broadcast, and written over in the rounds."""
    k0, k1 = key
    schedule = (k0, k1, k0 ^ k1 ^ np.uint32(PARITY))
    shape = np.broadcast_shapes(k0.shape, counter[0].shape, counter[1].shape)
    x0, x1 = (np.array(np.broadcast_to(one, shape)) for one in (counter[0] + k0, counter[1] + k1))
    turned = np.empty_like(x0)
    for block in range(5):
        for rotation in ROTATIONS[block % 2]:
            x0 += x1
            np.left_shift(x1, np.uint32(rotation), out=turned)
            x1 >>= np.uint32(32 - rotation)
            x1 |= turned
            x1 ^= x0
        x0 += schedule[(block + 1) % 3]
        x1 += schedule[(block + 2) % 3] + np.uint32(block + 1)
    return x0, x1


def trial_keys(trials: int) -> Words:
    """The keys of each trial, two words [trial]."""
    digest = sha256(SITE.encode()).digest()
    named = tuple(np.array([int.from_bytes(digest[i : i + 4], "big")], np.uint32) for i in (0, 4))
    seed = (np.zeros(1, np.uint32), np.array([SEED], np.uint32))
    count = np.arange(trials, dtype=np.uint32)
    return threefry(threefry(seed, named), (count * 0, count))


def first_states(neurons: int, trials: int) -> Array:
    """The first states [neuron, trial]: on with probability 1/2."""
    count = np.arange(neurons, dtype=np.uint32)[:, None]
    first, _ = threefry(tuple(word[None] for word in trial_keys(trials)), (count * 0, count))
    return (first < np.uint32(1 << 31)).astype(np.float32)
