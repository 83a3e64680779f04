"""One small spec at every stage of its way, as `cortexspec show` prints it. In review, read these differences first.

`python tests/golden/test_golden.py` writes the files anew; read the difference before it is kept.
"""

from pathlib import Path

import pytest

from cortexspec.runtime.show import show_stage

HERE = Path(__file__).parent / "pair"
# The file, the stage, the backend and what has to be installed for it.
STAGES = {
    "spec.cortex": ("spec", "interpreter", "numpy"),
    "model.txt": ("model", "interpreter", "numpy"),
    "ir.cxir": ("ir", "interpreter", "numpy"),
    "optimized.cxir": ("optimized", "interpreter", "numpy"),
    "program_torch.txt": ("python", "torch", "torch.nn"),
    "program_jax.txt": ("python", "jax", "jax"),
}


def shown(name: str) -> str:
    stage, backend, _ = STAGES[name]
    text = show_stage(HERE / "model.cortex", stage, backend=backend, solver="euler", dt="1 ms", duration="20 ms")
    return text.rstrip() + "\n"


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_is_what_its_file_says(name: str) -> None:
    pytest.importorskip(STAGES[name][2])
    assert shown(name) == (HERE / name).read_text(encoding="utf-8"), f"{__doc__}"


if __name__ == "__main__":
    for file in STAGES:
        (HERE / file).write_text(shown(file), encoding="utf-8")
