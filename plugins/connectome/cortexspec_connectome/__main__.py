"""`python -m cortexspec_connectome`: synthetic activity for a field, and tables of CAVE as a field."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import numpy as np

from cortexspec_connectome import events
from cortexspec_connectome.formats import read_field, write_field
from cortexspec_connectome.formats.cave import field_columns
from cortexspec_connectome.synthetic import EDGES_UM, FRAME_RATE_HZ, by_distance, columns_like, synthetic


def main(arguments: Sequence[str] | None = None) -> int:
    given = _parser().parse_args(arguments)
    try:
        return _synthetic(given) if given.command == "synthetic" else _cave(given)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m cortexspec_connectome", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    made = commands.add_parser("synthetic", help="event trains that were never measured, for the cells of a field")
    made.add_argument("field", help="a .npz file with the places of cells")
    made.add_argument("out", help="the .npz file to write; it says that it is synthetic")
    made.add_argument("--seed", type=int, default=1)
    made.add_argument("--frames", type=int, default=40_000, help="of 1/6.3009 s each (default: %(default)s)")
    made.add_argument("--traces", action="store_true", help="with fluorescence [frame, cell]")
    cave = commands.add_parser("cave", help="a coregistration table and a table of synapses as one .npz file")
    cave.add_argument("cells", help="coregistration_manual_v4 as .csv")
    cave.add_argument("synapses", help="synapses_pni_2 as .csv")
    cave.add_argument("out", help="the .npz file to write")
    for name in ("session", "scan", "field"):
        cave.add_argument(f"--{name}", type=int)
    return parser


def _synthetic(given: argparse.Namespace) -> int:
    field = read_field(given.field)
    made = synthetic(field.positions, given.seed, given.frames, traces=given.traces)
    functional = {"corr": events.correlation(made.trains), "sttc": events.tiling_coefficient(made.trains)}
    write_field(given.out, {**columns_like(field.stored, made), **functional})
    rates = np.diff(made.offsets) / given.frames * FRAME_RATE_HZ
    print(f"{given.out}: {made.source}")
    print(f"{len(rates)} cells, {given.frames:,} frames, rates {rates.mean():.3f} ± {rates.std():.3f} per second")
    print("mean correlation by distance:")
    found = by_distance(field.positions, functional["corr"])
    for low, high, mean in zip(EDGES_UM[:-1], EDGES_UM[1:], found, strict=True):
        print(f"  {low:4.0f} to {high:4.0f} µm  {mean:7.4f}")
    return 0


def _cave(given: argparse.Namespace) -> int:
    columns = field_columns(given.cells, given.synapses, given.session, given.scan, given.field)
    write_field(given.out, columns)
    cells, synapses = len(columns["target_id"]), int(columns["edge_synapses"].sum())
    print(f"{given.out}: {cells} cells, {synapses} synapses in {len(columns['edge_source'])} connections")
    return 0


if __name__ == "__main__":
    sys.exit(main())
