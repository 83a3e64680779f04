"""A compiled circuit as files that need no CortexSpec: the program, and beside it what it computes with."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from cortexspec.runtime.files import write_whole
from cortexspec.runtime.simulation import Simulation


def export(simulation: Simulation, path: str | Path) -> tuple[Path, Path]:
    """Writes the program to `path` and its parameters and buffers beside it; gives both paths.

    The second is a safetensors file: raw parameters and buffers under the names that `FUNCTIONS` of the program lists, axes
    in the program's order. On the interpreter the program is the text of the IR. Each file is written whole or not at all.
    """
    from safetensors.numpy import save

    program = Path(path)
    arrays = program.with_suffix(".safetensors")
    main = simulation.main
    kept = {
        **simulation.in_layout(main.module, simulation.raw_parameters()),
        **simulation.in_layout(main.module, simulation.buffers()),
    }
    dtype = np.dtype(simulation.settings.options.dtype)
    content = {
        name: np.ascontiguousarray(array.astype(dtype) if array.dtype.kind == "f" else array)
        for name, array in kept.items()
    }
    metadata = {"circuit": simulation.circuit, "identity": simulation.identity}
    write_whole(arrays, save(content, metadata))
    write_whole(program, simulation.program.encode())
    return program, arrays
