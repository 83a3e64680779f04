"""The versions of the ELM workload compute the same numbers; a few steps show it."""

import pytest

pytest.importorskip("jax")
pytest.importorskip("torch.nn")

STEPS = 4


def test_every_version_has_the_loss_and_the_gradients_of_the_equations() -> None:
    from benchmarks import ours_elm
    from benchmarks.elm import require_right
    from benchmarks.elm_workload import loss
    from benchmarks.rivals import elm_jax, elm_torch

    problem = ours_elm.drawn(STEPS, "float32")
    programs = {f"{one} ours": ours_elm.program(problem, one) for one in ("torch", "jax")}
    programs |= elm_torch.programs(problem, compiled=False)
    programs |= {how: elm_jax.bind(problem, one, how == "dense", None) for how, one in elm_jax.ARRIVING.items()}
    require_right(programs, loss(problem))
    with pytest.raises(SystemExit, match="the loss is"):
        require_right(programs, 2 * loss(problem))
