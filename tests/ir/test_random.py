"""Golden vectors of Threefry, and the draws made from its words."""

from hashlib import sha256

import numpy as np
import pytest

from cortexspec.interpreter import run
from cortexspec.ir.builder import Builder
from cortexspec.ir.module import Layout, Value
from cortexspec.ir.ops import write
from cortexspec.ir.ops.random import below, draw_words, site_words, split_words, threefry
from cortexspec.ir.size import Size
from cortexspec.ir.types import Axis, Type

SEED = Value("seed", Type((), "int"))
STEP = Value("n", Type((), "int"))
TRIAL = Value("trial", Type((Axis("trial", Size.symbol("trial"), "sample"),), "int"))


def words(*numbers):
    return tuple(np.uint32(number) for number in numbers)


@pytest.mark.parametrize(
    ("key", "counter", "answer"),
    [
        ((0, 0), (0, 0), (0x6B200159, 0x99BA4EFE)),
        ((0xFFFFFFFF, 0xFFFFFFFF), (0xFFFFFFFF, 0xFFFFFFFF), (0x1CB996FC, 0xBB002BE7)),
        ((0x13198A2E, 0x03707344), (0x243F6A88, 0x85A308D3), (0xC4923A9C, 0x483DF7A0)),
    ],
)
def test_known_answers_of_random123(key, counter, answer):
    assert tuple(int(x) for x in threefry(words(*key), words(*counter))) == answer


def test_site_is_the_head_of_sha256():
    digest = sha256(b"V.ss.noise#0").hexdigest()
    assert site_words("V.ss.noise#0") == (int(digest[:8], 16), int(digest[8:16], 16))


def test_golden_words_of_a_draw():
    """The key schedule, written out by hand: seed, site, trial, step, element."""
    key = threefry(words(0, 7), words(*site_words("x#0")))
    key = threefry(key, words(0, 3))
    key = threefry(key, words(0, 11))
    expected = [threefry(key, words(0, i)) for i in range(4)]
    w0, w1 = draw_words("x#0", np.array(7), [np.array(3), np.array(11)], 4)
    assert [(int(a), int(b)) for a, b in zip(w0, w1, strict=True)] == [(int(a), int(b)) for a, b in expected]
    golden = [(0x4FD47491, 0xE915DA0E), (0xC21094B6, 0x71B05B4F), (0xF0EB4356, 0x89ED08D3)]
    assert [(int(a), int(b)) for a, b in zip(w0, w1, strict=True)][:3] == golden


def test_bits_are_those_of_jax():
    jax = pytest.importorskip("jax.random", exc_type=ImportError)

    build = Builder()
    axis = Axis("E", Size.of(1000))
    bits = write.random_bits(build, "x#0", [axis], SEED, step=STEP)
    seed, step = (5 << 32) + 9, 12
    ours = run(build.function("f", [SEED, STEP], [bits]), {"seed": np.array(seed), "n": np.array(step)})[bits.name]
    key = threefry(split_words(np.array(seed)), words(*site_words("x#0")))
    key = threefry(key, split_words(np.array(step)))
    theirs = jax.bits(jax.wrap_key_data(np.array(key, np.uint32), impl="threefry2x32"), (1000,), "uint32")
    np.testing.assert_array_equal(ours, np.asarray(theirs))


def test_negative_and_large_seeds_use_all_64_bits():
    high, low = split_words(np.array([-1, 1 << 40, 5]))
    assert high.tolist() == [0xFFFFFFFF, 256, 0]
    assert low.tolist() == [0xFFFFFFFF, 0, 5]


def draw(kind, arguments=(), dtype="float64", **inputs):
    """One draw over 4000 elements; `inputs` may have trial and n."""
    build = Builder()
    axis = Axis("E", Size.of(4000))
    keys = {name: value for name, value in (("trial", TRIAL), ("step", STEP)) if value.name in inputs}
    consts = [write.const(build, a) for a in arguments]
    value = getattr(write, kind)(build, f"{kind}#0", [axis], *consts, SEED, **keys)
    function = build.function("f", [SEED, *keys.values()], [value])
    return run(function, {"seed": np.array(3), **inputs}, layout=Layout(("E", "trial")), dtype=dtype)[value.name]


def test_a_trial_draws_the_same_in_every_batch():
    together = draw("uniform", trial=np.array([4, 9, 2]), n=np.array(5))
    alone = draw("uniform", trial=np.array([9]), n=np.array(5))
    assert together.shape == (4000, 3)
    np.testing.assert_array_equal(together[:, 1], alone[:, 0])
    assert (together[:, 0] != together[:, 1]).mean() > 0.99


def test_single_and_double_precision_draw_the_same_numbers():
    single, double = draw("uniform", dtype="float32"), draw("uniform")
    assert single.dtype == np.float32
    assert np.abs(single - double).max() <= 2**-24
    assert np.abs(draw("normal", dtype="float32") - draw("normal")).max() < 2e-4


def test_moments():
    uniform, normal = draw("uniform"), draw("normal")
    assert abs(uniform.mean() - 0.5) < 0.02 and abs(uniform.var() - 1 / 12) < 0.005
    assert abs(normal.mean()) < 0.05 and abs(normal.var() - 1) < 0.06
    assert abs(draw("bernoulli", [0.2]).mean() - 0.2) < 0.02
    counts = draw("poisson", [3.5])
    assert counts.dtype == np.int64
    assert abs(counts.mean() - 3.5) < 0.1 and abs(counts.var() - 3.5) < 0.3
    assert abs(draw("poisson", [300.0]).mean() - 300) < 1


def test_poisson_inverts_the_cumulative_distribution():
    from scipy.stats import poisson

    u, counts = draw("uniform"), draw("poisson", [3.5])
    # The sites differ, so draw the uniform numbers of the Poisson draw's own site.
    w0, w1 = draw_words("poisson#0", np.array(3), [], 4000)
    u = ((w0 >> 5).astype(float) * 2**26 + (w1 >> 6)) * 2**-53
    np.testing.assert_array_equal(counts, poisson.ppf(np.maximum(u, 1e-300), 3.5).astype(int))


def test_bernoulli_at_the_ends_and_between():
    assert not draw("bernoulli", [0.0]).any()
    assert draw("bernoulli", [1.0]).all()
    w = (np.array([0, 1, 2**31 - 1, 2**31, 2**31], np.uint32), np.array([0, 5, 2**32 - 1, 0, 1], np.uint32))
    for dtype in (np.float32, np.float64):
        assert below(w, np.array(0.5, dtype)).tolist() == [True, True, True, False, False]
    # p = 2^-32 + 2^-64 in double precision: the second word decides.
    edge = (np.array([0, 1, 1], np.uint32), np.array([9, 0, 1], np.uint32))
    assert below(edge, np.array(2.0**-32 + 2.0**-64)).tolist() == [True, True, False]


def test_permutation_is_one():
    build = Builder()
    value = write.permutation(build, "order#0", Axis("E", Size.of(100)), SEED)
    order = run(build.function("f", [SEED], [value]), {"seed": np.array(1)})[value.name]
    assert sorted(order.tolist()) == list(range(100))
    assert order.tolist() != list(range(100))


def test_elements_are_numbered_along_the_written_axes_whatever_the_layout():
    build = Builder()
    a, b = Axis("a", Size.of(3)), Axis("b", Size.of(5))
    value = write.uniform(build, "w#0", [b, a], SEED)
    function = build.function("f", [SEED], [value])
    first = run(function, {"seed": np.array(1)}, layout=Layout(("a", "b")))[value.name]
    second = run(function, {"seed": np.array(1)}, layout=Layout(("b", "a")))[value.name]
    np.testing.assert_array_equal(first, second.T)
    w0, w1 = draw_words("w#0", np.array(1), [], 15)
    np.testing.assert_array_equal(second.ravel(), ((w0 >> 5).astype(float) * 2**26 + (w1 >> 6)) * 2**-53)
