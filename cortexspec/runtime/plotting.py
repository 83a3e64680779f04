"""`run.cortex.plot()`: every recording against time, a panel each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MOST_LINES = 40


@xarray.register_dataset_accessor("cortex")  # pyright: ignore[reportUnknownMemberType, reportUntypedClassDecorator]
class Accessor:
    """What a run can do beside being a Dataset."""

    def __init__(self, dataset: Any):
        self.dataset = dataset

    def plot(self, trial: int = 0, names: list[str] | None = None) -> Figure:
        """One panel a recording of one trial: lines over time, at most 40 of them; a bar where there is no time."""
        from matplotlib.figure import Figure

        chosen = [name for name in self.dataset.data_vars if names is None or name in names]
        figure = Figure(figsize=(7, 2.2 * max(1, len(chosen))), layout="constrained")
        panels = figure.subplots(max(1, len(chosen)), 1, squeeze=False)[:, 0]
        for panel, name in zip(panels, chosen, strict=True):
            array = self.dataset[name]
            if "trial" in array.dims:
                array = array.isel(trial=trial)
            unit = array.attrs.get("units", "1")
            panel.set_ylabel(str(name) + ("" if unit == "1" else f" ({unit})"))
            if "time" in array.dims:
                lines = array.transpose("time", ...).values.reshape(array.sizes["time"], -1)
                panel.plot(array["time"].values, lines[:, :_MOST_LINES], linewidth=1)
                panel.set_xlabel(f"time ({array['time'].attrs.get('units', 'ms')})")
            else:
                values = np.ravel(array.values)
                panel.bar(np.arange(values.size), values)
        return figure
