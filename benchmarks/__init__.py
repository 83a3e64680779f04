"""Ratios against the best hand-written version: `python -m benchmarks.cmc`, `python -m benchmarks.compile_time`."""
