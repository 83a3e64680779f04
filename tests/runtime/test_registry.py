"""What is installed: listed without an import, loaded one at a time, and clear when it cannot be."""

from importlib.metadata import EntryPoint

import pytest

from cortexspec.diagnostics import Diagnostic, SpecError
from cortexspec.runtime import registry


@pytest.fixture(autouse=True)
def _forget():
    registry._available.cache_clear()
    registry._load.cache_clear()
    yield
    registry._available.cache_clear()
    registry._load.cache_clear()


def advertise(monkeypatch: pytest.MonkeyPatch, *points: tuple[str, str]) -> None:
    monkeypatch.setattr(
        registry,
        "entry_points",
        lambda group: [EntryPoint(name, value, group) for name, value in points],
    )


def refused(load, name: str) -> Diagnostic:
    with pytest.raises(SpecError) as error:
        load(name)
    [diagnostic] = error.value.diagnostics
    return diagnostic


def test_the_interpreter_is_always_there() -> None:
    [entry] = [entry for entry in registry.installed(registry.BACKENDS) if entry.name == "interpreter"]
    assert (entry.kind, entry.target, entry.distribution) == (
        "backend",
        "cortexspec.interpreter:Backend",
        "cortexspec",
    )


def test_a_backend_that_nobody_provides(monkeypatch: pytest.MonkeyPatch) -> None:
    advertise(monkeypatch, ("jax", "cortexspec_jax:Backend"))
    assert refused(registry.load_backend, "tensorflow") == Diagnostic(
        "CS802",
        "no installed distribution provides a backend `tensorflow`",
        label="installed: `jax`",
        help="install the distribution that provides it, or use one of: `jax`",
    )
    assert refused(registry.load_backend, "jx").help == "did you mean `jax`?"
    assert refused(registry.load_backend, "torch").help == "pip install cortexspec-torch"
    assert refused(registry.load_plugin, "flux").code == "CS904"


def test_one_name_from_two(monkeypatch: pytest.MonkeyPatch) -> None:
    advertise(monkeypatch, ("jax", "one:Backend"), ("jax", "two:Backend"))
    diagnostic = refused(registry.load_backend, "jax")
    assert diagnostic.code == "CS902"
    assert "`one:Backend` and `two:Backend`" in diagnostic.message


def test_the_same_entry_seen_twice_is_no_clash(monkeypatch: pytest.MonkeyPatch) -> None:
    advertise(monkeypatch, ("a", "collections:OrderedDict"), ("a", "collections:OrderedDict"))
    assert registry.load_backend("a") == {}


def test_what_does_not_import_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    advertise(monkeypatch, ("a", "no_such_package_at_all.x:Backend"), ("b", "collections:NoSuchThing"))
    diagnostic = refused(registry.load_backend, "a")
    assert (diagnostic.code, diagnostic.help) == ("CS903", "pip install no_such_package_at_all")
    assert refused(registry.load_backend, "b").code == "CS903"


def test_listing_imports_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    advertise(monkeypatch, ("a", "no_such_package_at_all:Backend"))
    assert [entry.name for entry in registry.installed(registry.BACKENDS)] == ["a"]
