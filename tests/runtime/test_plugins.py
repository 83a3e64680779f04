"""A stranger's plugin, as the documentation shows it, from its entry point to a run."""

import re
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

import cortexspec as cx
from cortexspec.diagnostics import Diagnostic, SpecError
from cortexspec.runtime import registry
from cortexspec.runtime.check import check_file

PAGE = (Path(__file__).parents[2] / "docs" / "writing_a_plugin.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"^`(\S+)`:\n```\w+\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))
SPEC = FILES["model.cortex"]


@pytest.fixture(autouse=True)
def _forget(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Nothing installed before a test is known in it, or after it."""
    registry._available.cache_clear()
    registry._load.cache_clear()
    monkeypatch.syspath_prepend(str(tmp_path))
    known = set(sys.modules)
    yield
    registry._available.cache_clear()
    registry._load.cache_clear()
    for name in {*sys.modules} - known:
        if Path(getattr(sys.modules[name], "__file__", None) or "/").is_relative_to(tmp_path):
            del sys.modules[name]


def install(folder: Path, name: str = "leaky", **changed: str) -> Path:
    """The files of the page as an installed distribution, its package `cortexspec_NAME`; gives its `.cortex` file."""
    package = folder / f"cortexspec_{name}"
    package.mkdir()
    for file in ("__init__.py", "cells.cortex"):
        text = FILES[f"cortexspec_leaky/{file}"]
        for old, new in changed.items():
            text = re.sub(rf"\b{old}\b", new, text)
        (package / file).write_text(text, encoding="utf-8")
    about = folder / f"cortexspec_{name}-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: cortexspec-{name}\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(f"[cortexspec.plugins]\n{name} = cortexspec_{name}:plugin\n")
    return package / "cells.cortex"


def refused(text: str) -> tuple[Diagnostic, ...]:
    with pytest.raises(SpecError) as error:
        cx.compile(cx.parse(text), "pair", dt="0.5 ms", duration="5 ms").simulate()
    return error.value.diagnostics


def test_its_neuron_and_its_function_run(tmp_path: Path) -> None:
    install(tmp_path)
    result = cx.compile(cx.parse(SPEC), "pair", dt="0.5 ms", duration="100 ms").simulate(record=["a.v", "shown"])
    np.testing.assert_allclose(np.asarray(result["a.v"])[..., -1, :].ravel(), [4.0, 4.0], rtol=1e-5)
    rate = 4 / (1 + 4)
    np.testing.assert_allclose(np.asarray(result["shown"]).ravel()[-1], 2 * rate / (1 + 2 * rate), rtol=1e-5)


RING = SPEC.replace("a[2]", "a[4]").replace(
    "  connect I -> a.I\n", "  connect I -> a.I\n  connect ring: a -> a { rule = ring(2); weight = 1 mV }\n"
)


def test_its_connection_rule_wires(tmp_path: Path) -> None:
    install(tmp_path)
    sim = cx.compile(cx.parse(RING), "pair", dt="0.5 ms", duration="5 ms")
    found = sim.buffers()
    pairs = sorted(zip(found["ring.post"].tolist(), found["ring.pre"].tolist(), strict=True))
    assert pairs == [(0, 1), (0, 2), (1, 2), (1, 3), (2, 0), (2, 3), (3, 0), (3, 1)]


def test_a_connection_rule_that_gives_places_which_are_not_there(tmp_path: Path) -> None:
    install(tmp_path, sources="sources + 1")
    [mistake] = refused(RING)
    assert mistake.code == "CS903" and "`ring`" in mistake.message and mistake.span is not None


def test_a_spec_from_a_file_and_its_check(tmp_path: Path) -> None:
    install(tmp_path)
    file = tmp_path / "model.cortex"
    file.write_text(SPEC, encoding="utf-8")
    assert check_file(file).diagnostics == ()
    assert cx.compile(file, experiment="heights").simulate() is not None


def test_its_data_set_reaches_an_experiment(tmp_path: Path) -> None:
    from cortexspec.experiments.claim import CellKey
    from cortexspec.experiments.session import Choice, Session

    install(tmp_path)
    file = tmp_path / "model.cortex"
    file.write_text(SPEC, encoding="utf-8")
    session = Session.open(Choice(file, backend="interpreter", dtype="float64"), CellKey("heights", "base", ()), 1)
    np.testing.assert_allclose(session.dataset.test.fields["I"].array, [0, 2, 4, 6])
    assert session.description["plugins"] == [["leaky", "1.0"]]


def test_a_mistake_in_its_text_is_shown_in_its_file(tmp_path: Path) -> None:
    cells = install(tmp_path)
    cells.write_text(cells.read_text(encoding="utf-8").replace("I - v", "I - τ"), encoding="utf-8")
    [mistake] = refused(SPEC)
    assert mistake.span is not None
    assert (mistake.code, mistake.span.source, mistake.span.line) == ("CS401", str(cells), 6)
    with pytest.raises(SpecError, match=re.escape("τ*v' = I - τ")):
        cx.compile(cx.parse(SPEC), "pair")


def test_a_text_that_does_not_parse(tmp_path: Path) -> None:
    cells = install(tmp_path)
    cells.write_text("neuron leaky {\n  param =\n}\n", encoding="utf-8")
    [mistake, *_] = refused(SPEC)
    assert mistake.code.startswith("CS1")
    assert mistake.span is not None and mistake.span.source == str(cells)


def test_a_plugin_that_is_not_installed_is_an_error_where_it_is_needed(tmp_path: Path) -> None:
    found = {one.span.line: one for one in refused(SPEC) if one.span is not None}
    assert {one.code for one in found.values()} == {"CS904"}
    neuron = SPEC.splitlines().index("  population a[2] : leaky(τ = 5 ms)") + 1
    assert "`leaky`" in found[neuron].message
    assert "`leaky`" in found[neuron].help
    file = tmp_path / "model.cortex"
    file.write_text(SPEC, encoding="utf-8")
    checked = check_file(file)
    assert checked.fine and {one.code for one in checked.diagnostics} == {"CS904"}


def test_a_use_that_nothing_needs_is_no_error() -> None:
    text = "use leaky\n\ncircuit pair {\n  param a = 1\n  output y = a\n}\n"
    assert cx.compile(cx.parse(text), "pair", dt="1 ms", duration="2 ms") is not None


def test_two_plugins_that_bring_one_name(tmp_path: Path) -> None:
    install(tmp_path)
    install(tmp_path, "other")
    found = refused(SPEC.replace("use leaky", "use leaky, other"))
    assert {one.code for one in found} == {"CS902"}
    for name in ("the neuron `leaky`", "`softsign`", "`steps`"):
        [one] = [one for one in found if name in one.message.split(" is brought")[0]]
        assert "`leaky` and `other`" in one.message
    assert cx.compile(cx.parse(SPEC), "pair") is not None  # one of them is no clash


def test_a_name_that_is_built_in(tmp_path: Path) -> None:
    install(tmp_path, softsign="sigmoid")
    [clash] = refused(SPEC)
    assert clash.code == "CS902" and "`sigmoid` is brought by both CortexSpec itself and `leaky`" in clash.message


def test_its_entries_are_no_one_elses(tmp_path: Path) -> None:
    install(tmp_path)
    cx.compile(cx.parse(SPEC), "pair")
    without = SPEC.replace("use leaky\n", "").replace("population a[2] : leaky(τ = 5 ms)", "")
    assert "CS301" in {one.code for one in refused(without)}


def test_nothing_imports_it_unasked(tmp_path: Path) -> None:
    install(tmp_path)
    program = textwrap.dedent("""
        import sys
        import cortexspec as cx
        cx.compile(cx.parse("circuit one {\\n  param a = 1\\n  output y = a\\n}\\n"), "one")
        assert "cortexspec_leaky" not in sys.modules
        cx.parse("use leaky\\n")
        assert "cortexspec_leaky" in sys.modules
    """)
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": f"{tmp_path}:{Path(cx.__file__).parents[1]}"},
        capture_output=True,
    )
    assert done.returncode == 0, done.stderr.decode()


def test_its_measure_is_gathered_along_a_run(tmp_path: Path) -> None:
    from cortexspec.experiments.claim import CellKey
    from cortexspec.experiments.session import Choice, Session

    install(tmp_path)
    file = tmp_path / "model.cortex"
    file.write_text(SPEC, encoding="utf-8")
    session = Session.open(Choice(file, backend="interpreter", dtype="float64"), CellKey("peaks", "base", ()), 1)
    found = session.result().measures
    run = session.simulation.simulate(duration="2010 ms", record=["a.rate"])
    rate = np.asarray(run["a.rate"])[0, 20:]
    assert found["top"] == pytest.approx(rate.max()) and found["average"] == pytest.approx(rate.mean())


def test_a_measure_along_a_run_of_a_data_set_is_not_there_yet(tmp_path: Path) -> None:
    from cortexspec.experiments.claim import CellKey
    from cortexspec.experiments.session import Choice, Session

    install(tmp_path)
    file = tmp_path / "model.cortex"
    text = SPEC.replace("  measure error =", "  measure top = largest(a.rate)\n  measure error =")
    file.write_text(text, encoding="utf-8")
    with pytest.raises(SpecError, match="CS700"):
        Session.open(Choice(file, backend="interpreter"), CellKey("heights", "base", ()), 1)
