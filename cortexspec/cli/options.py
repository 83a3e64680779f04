"""The arguments and options that several commands share, so that they read and behave alike."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

MODEL_FILE = "model.cortex"


def spec_file(path: Path) -> Path:
    """A folder stands for the `model.cortex` in it."""
    if path.is_dir():
        path = path / MODEL_FILE
    if not path.is_file():
        raise typer.BadParameter(f"there is no file {path}")
    return path


def spec_files(paths: list[Path]) -> list[Path]:
    return [spec_file(path) for path in paths]


def assignments(pairs: list[str]) -> dict[str, str]:
    """`["regions=3", "size = 4"]` to `{"regions": "3", "size": "4"}`."""
    found: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name.strip() or not value.strip():
            raise typer.BadParameter(f"`{pair}` is not of the form NAME=VALUE")
        found[name.strip()] = value.strip()
    return found


def lengths(pairs: list[str]) -> dict[str, tuple[int, ...]]:
    """`["image=1,28,28"]` to `{"image": (1, 28, 28)}`."""
    found: dict[str, tuple[int, ...]] = {}
    for name, value in assignments(pairs).items():
        try:
            found[name] = tuple(int(length) for length in value.split(","))
        except ValueError:
            raise typer.BadParameter(f"`{value}` is not a shape: write lengths with commas, as in 1,28,28") from None
    return found


SpecFile = Annotated[
    Path,
    typer.Argument(
        metavar="FILE",
        callback=spec_file,
        help="A spec (.cortex, .yaml, .json), or a folder with a model.cortex.",
        show_default=False,
    ),
]
SpecFiles = Annotated[
    list[Path],
    typer.Argument(
        metavar="FILE...",
        callback=spec_files,
        help="Specs (.cortex, .yaml, .json), or folders with a model.cortex.",
        show_default=False,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]
Circuit = Annotated[
    str, typer.Option("--circuit", "-c", metavar="NAME", help="Which circuit of the file.", show_default="the only one")
]
Arguments = Annotated[
    list[str],
    typer.Option(
        "--set",
        "-s",
        metavar="NAME=VALUE",
        help="A template argument of the circuit; may be given several times.",
        show_default=False,
    ),
]
Backend = Annotated[
    str, typer.Option("--backend", "-b", metavar="NAME", help="interpreter, torch, jax, or a plugin's.")
]


class Precision(StrEnum):
    float32 = "float32"
    float64 = "float64"


Dtype = Annotated[Precision, typer.Option("--dtype", help="How exact the numbers are.")]
Shapes = Annotated[
    list[str],
    typer.Option(
        "--shape",
        metavar="INPUT=A,B,..",
        help="The shape of an input whose size only the data tell.",
        show_default=False,
    ),
]
Solver = Annotated[
    str,
    typer.Option(
        "--solver",
        metavar="NAME",
        show_default="the experiment's, else euler",
        help="euler, heun, midpoint, rk4, exponential_euler, exact, euler_maruyama, or one of the backend's own.",
    ),
]
Step = Annotated[
    str,
    typer.Option("--dt", metavar="TIME", show_default="the experiment's", help='Length of a step, such as "0.1 ms".'),
]
Duration = Annotated[
    str,
    typer.Option(
        "--duration", "-d", metavar="TIME", show_default="the experiment's", help='How long, such as "100 ms".'
    ),
]
OfExperiment = Annotated[
    str,
    typer.Option(
        "--experiment",
        "-e",
        metavar="NAME",
        show_default=False,
        help="An experiment of the file: its circuit with its edits, its duration, step, solver and stimuli.",
    ),
]
Variant = Annotated[
    str, typer.Option("--variant", metavar="NAME", show_default=False, help="A variant of the experiment.")
]
Seed = Annotated[int, typer.Option("--seed", metavar="N", help="Seed of every random draw.")]
Data = Annotated[
    Path | None,
    typer.Option(
        "--data",
        metavar="FOLDER",
        exists=True,
        file_okay=False,
        help="Where the data sets lie.",
        show_default="what comes with CortexSpec",
    ),
]
