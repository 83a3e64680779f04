"""The models of `specs/`: they parse, are formatted, and survive text, JSON and YAML."""

from pathlib import Path

import pytest

from cortexspec.language.format import format_text
from cortexspec.language.parse import parse_spec
from cortexspec.language.print_spec import print_spec
from cortexspec.schema.dump import dump_json, dump_yaml
from cortexspec.schema.load import load_json, load_yaml

SPECS = Path(__file__).parents[2] / "specs"
MODELS = sorted(SPECS.glob("*/*.cortex"))
NAMES = [str(path.relative_to(SPECS)) for path in MODELS]


def test_all_ten_models_are_there() -> None:
    papers = {f"{name}/model.cortex" for name in ("cmc", "infoflux", "microns_rnn", "elm", "balanced")}
    gallery = {f"gallery/{name}.cortex" for name in ("jansen_rit", "potjans_diesmann", "coba_stp", "gru", "digits")}
    assert papers | gallery <= set(NAMES)


@pytest.mark.parametrize("path", MODELS, ids=NAMES)
def test_a_model_round_trips(path: Path) -> None:
    text = path.read_text("utf-8")
    spec, diagnostics = parse_spec(text, str(path))
    assert diagnostics == ()
    assert spec is not None
    assert parse_spec(print_spec(spec))[0] == spec
    assert load_json(dump_json(spec)) == (spec, ())
    assert load_yaml(dump_yaml(spec)) == (spec, ())


@pytest.mark.parametrize("path", MODELS, ids=NAMES)
def test_a_model_is_formatted(path: Path) -> None:
    text = path.read_text("utf-8")
    assert format_text(text) == text, f"run `cortexspec format {path}`"


@pytest.mark.parametrize("path", MODELS, ids=NAMES)
def test_formatting_restores_indentation(path: Path) -> None:
    text = path.read_text("utf-8")
    flat: list[str] = []
    quoted = False
    for line in text.split("\n"):
        flat.append(line if quoted else "\t " + line.lstrip() if line.strip() else "")
        quoted ^= line.count('"""') % 2 == 1
    assert format_text("\n".join(flat)) == text
