"""Importing CortexSpec, or starting its command line, loads no framework and none of the heavy libraries."""

import subprocess
import sys

import pytest

HEAVY = ("torch", "jax", "sympy", "matplotlib", "scipy", "pint", "xarray", "networkx", "pandas")

LIST_HEAVY = f"""
import sys
print(*[name for name in {HEAVY!r} if name in sys.modules])
"""


def loaded_after(program: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", program + LIST_HEAVY], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1].split()


@pytest.mark.parametrize(
    "program",
    [
        "import cortexspec",
        "import cortexspec.cli",
        "import cortexspec.schema, cortexspec.language, cortexspec.ir",
        "from typer.testing import CliRunner; from cortexspec.cli import app; CliRunner().invoke(app, ['--help'])",
        "from typer.testing import CliRunner; from cortexspec.cli import app; CliRunner().invoke(app, ['plugins'])",
    ],
)
def test_loads_nothing_heavy(program: str) -> None:
    assert loaded_after(program) == []


def test_the_check_can_fail() -> None:
    """Guards the guard: the same probe does see a module that is loaded."""
    assert loaded_after("import scipy") == ["scipy"]
