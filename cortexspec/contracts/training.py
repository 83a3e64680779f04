"""The one meaning of each optimiser: options with their defaults, the schedule, clipping. Every backend's trainer reads it here.

With g the gradient (after clipping), p a raw parameter, lr = `learning_rate(recipe, step)`, t = step + 1:

sgd      g += weight_decay*p;  m = momentum*m + g;  p -= lr*m          (nesterov: p -= lr*(g + momentum*m))
adam     g += weight_decay*p;  m = beta1*m + (1-beta1)*g;  s = beta2*s + (1-beta2)*g^2;
         p -= lr * m/(1-beta1^t) / (sqrt(s/(1-beta2^t)) + eps)
adamw    p -= lr*weight_decay*p, then adam without its first line
adamax   g += weight_decay*p;  m as adam;  u = max(beta2*u, |g| + eps);  p -= lr * m/(1-beta1^t) / u
rmsprop  g += weight_decay*p;  s = decay*s + (1-decay)*g^2;  d = g/(sqrt(s) + eps);  m = momentum*m + d;  p -= lr*m

evolution needs no gradient. A generation draws `offspring` candidates p + s*η, η normal, one an element, around the point p;
the point moves to the mean of the `parents` best of them, and s, which begins as `step`, is multiplied by `decay`.

Source: Kingma & Ba 2015 (adam, adamax), Loshchilov & Hutter 2019 (adamw), Tieleman & Hinton 2012 (rmsprop),
Beyer & Schwefel 2002 (the (μ/μ, λ) strategy).
"""

from __future__ import annotations

from cortexspec.contracts.backend import Recipe
from cortexspec.diagnostics import Diagnostic, SpecError

_ADAM = {"lr": 1e-3, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "weight_decay": 0.0}
DEFAULTS: dict[str, dict[str, float]] = {
    "adam": _ADAM,
    "adamw": {**_ADAM, "weight_decay": 0.01},
    "adamax": {**_ADAM, "lr": 2e-3},
    "sgd": {"lr": 1e-2, "momentum": 0.0, "nesterov": 0.0, "weight_decay": 0.0},
    "rmsprop": {"lr": 1e-2, "decay": 0.99, "eps": 1e-8, "momentum": 0.0, "weight_decay": 0.0},
}
LATER = ("lbfgs",)  # a spec may name them; to train with one is CS700
EVOLUTION: dict[str, float] = {"parents": 5, "offspring": 20, "step": 1.0, "decay": 0.97}


def optimizer_options(recipe: Recipe) -> dict[str, float]:
    """All options of the recipe's optimiser. Raises: SpecError CS804 for an unknown optimiser or option, CS700."""
    if recipe.optimizer in LATER:
        raise SpecError([Diagnostic("CS700", f"the optimiser `{recipe.optimizer}` is not supported yet")])
    if recipe.optimizer not in DEFAULTS:
        raise _unknown(f"there is no optimiser `{recipe.optimizer}`", DEFAULTS)
    defaults = DEFAULTS[recipe.optimizer]
    for option in recipe.options:
        if option not in defaults:
            raise _unknown(f"`{recipe.optimizer}` has no option `{option}`", defaults)
    return {**defaults, **{name: float(value) for name, value in recipe.options.items()}}


def learning_rate(recipe: Recipe, step: int) -> float:
    """The rate of a step, counted from 0: `lr` times the schedule's factor; past the schedule its last factor holds."""
    rate = optimizer_options(recipe)["lr"]
    if len(recipe.learning_rates) == 0:
        return rate
    return rate * float(recipe.learning_rates[min(step, len(recipe.learning_rates) - 1)])


def clip_factor(norm: float, largest: float) -> float:
    """What gradients of this global norm are multiplied by."""
    return largest / norm if norm > largest else 1.0


def _unknown(message: str, known: dict[str, object] | dict[str, float] | dict[str, dict[str, float]]) -> SpecError:
    return SpecError([Diagnostic("CS804", message, help="known: " + ", ".join(known))])
