"""What docs/binary_networks.md shows, run."""

import re
from pathlib import Path

import pytest

from cortexspec.experiments.claim import CellKey
from cortexspec.experiments.session import Choice, Session
from cortexspec.runtime.check import check_file

PAGE = (Path(__file__).parents[3] / "docs" / "binary_networks.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def test_the_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "core.cortex"
    file.write_text(next(text for language, text in BLOCKS if language == "cortex"), encoding="utf-8")
    assert check_file(file).diagnostics == ()
    shown: dict = {}
    for language, text in BLOCKS:
        if language == "python":
            exec(compile(text, "binary_networks.md", "exec"), shown)
    exact, found = shown["exact"], shown["found"]
    a, b = exact.group("a.x", 0, 1, 2), exact.group("a.x", 3, 4, 5)
    flux = exact.network.flux
    assert float(found["intra"]) == pytest.approx(flux(a, a), rel=0.1)
    assert float(found["inter"]) == pytest.approx(flux(a, b), rel=0.1)
    assert shown["gradient"].weights.shape == (6, 6)
    session = Session.open(Choice(file, backend="interpreter"), CellKey("flow", "base", ()), 1)
    measures = session.result().measures
    assert float(measures["intra"]) == pytest.approx((flux(a, a) + flux(b, b)) / 2, rel=0.1)
    assert float(measures["inter"]) == pytest.approx((flux(a, b) + flux(b, a)) / 2, rel=0.1)


def test_every_measure_is_on_the_page() -> None:
    from cortexspec_binary import MEASURES

    assert all(f"`{entry.name}(" in PAGE for entry in MEASURES)
