"""Small circuits of spiking neurons for `testing.cases`: each construct that a step with spikes is made of."""

from __future__ import annotations

_NEURONS = """
neuron lif {
  param τ_m = 10 ms, θ = 1 V, v_reset = 0 V, τ_ref = 2 ms
  input I : V = 0 V
  state v ~ uniform(0 V, 1 V)
  τ_m*v' = I - v
  spike when v > θ { v <- v_reset }  refractory τ_ref  surrogate SURROGATE
}

neuron adapting {
  param τ_m = 12 ms, τ_w = 60 ms, b = 0.1 V
  input I : V = 0 V, push : V/ms = 0 V/ms
  state v ~ uniform(0 V, 0.9 V)
  state w = 0 V
  τ_m*v' = I - v - w + τ_m*push
  τ_w*w' = 0.05*v - w
  spike when v > 1 V { v <- 0 V; w <- w + b }  refractory 1 ms  surrogate triangle(2 V^-1)
  output level = v
}

neuron crossing {
  param τ_m = 10 ms, θ = 0.4 V
  input I : V = 0 V
  state v = 0 V
  τ_m*v' = I - v
  spike when v crosses θ surrogate boxcar(1 V^-1)
}

neuron source { spike ~ poisson(80 Hz*dt) }
neuron constant { param current : V = 1.3 V  per neuron; output current }
"""

_SYNAPSES = """
synapse exponential(τ: ms = 5 ms) { input z; state g : V = 0  per post; τ*g' = z - g; output g }
synapse alpha(τ: ms = 5 ms) { input z; state g : V = 0  per post; τ^2*g'' + 2*τ*g' + g = z; output g }

synapse tsodyks_markram(U: real = 0.3, τ_d: ms = 100 ms, τ_f: ms = 50 ms, τ: ms = 4 ms) {
  input z
  state R = 1, u = U  per pre
  state g : V = 0  per post
  R' = (1 - R)/τ_d
  u' = (U - u)/τ_f
  τ*g' = z - g
  on pre {
    let u1 = u + U*(1 - u)
    send u1*R
    u <- u1
    R <- R - u1*R
  }
  output g
}

synapse stdp(η: V/Hz = 0.2 V/kHz, τ_p: ms = 20 ms, τ: ms = 4 ms) {
  input z
  state x = 0  per pre
  state y = 0  per post
  state weight  per connection
  state g : V = 0  per post
  x' = -x/τ_p
  y' = -y/τ_p
  τ*g' = z - g
  on pre { x <- x + 1; weight <- max(weight - η*y, 0 V/kHz) }
  on post { y <- y + 1; weight <- weight + 0.9*η*x }
  output g
}
"""

_KINDS = """
circuit kinds {
  param J = 1.2 V/kHz  trainable
  param K = 0.2
  population A[7], B[5] : lif
  population C[6] : adapting
  population D[4] : crossing
  population S[9] : source
  group all = [A, B]
  connect constant(current ~ uniform(1 V, 2 V)) -> A
  connect constant(current = 0.9 V) -> C.I
  connect S -> A { rule = bernoulli(0.5); weight ~ normal(2 V/kHz, 0.3 V/kHz); synapse = exponential(3 ms) }
  connect A -> B { rule = fixed_indegree(3); weight = J; synapse = alpha(2 ms); delay = 1.5 ms }
  connect B -> B { weight = -J/4; synapse = exponential(4 ms); delay ~ uniform(0.5 ms, 3 ms) }
  connect constant(current = 1.4 V) -> B
  connect all -> C.push { rule = bernoulli(0.4); weight ~ uniform(0 V, 0.2 V) trainable; delay ~ uniform(0.2 ms, 2 ms) }
  connect A -> D { weight = 2*J; synapse = tsodyks_markram() }
  connect A -> C.I { rule = bernoulli(0.6); weight = J/2; synapse = stdp(); delay = 0.7 ms }
  connect C.level -> D.I { weight = K; delay = 1 ms }
  output near = C.level
}
"""


def kinds(surrogate: str = "fast_sigmoid(3 V^-1)") -> str:
    """Threshold, crossing and drawn trains, every kind of synapse and delay."""
    return _NEURONS.replace("SURROGATE", surrogate) + _SYNAPSES + _KINDS


_LIF = """
neuron lif {
  param τ = 10 ms, θ = 15 mV, μ = 20 mV
  input s : mV/ms = 0 mV/ms
  state v = 0 mV
  state fired = 0
  v' = (μ - v)/τ + s
  spike when v > θ { v <- 0 mV; fired <- fired + 1 }  refractory 1 ms  surrogate SURROGATE
}
"""


def lif(surrogate: str = "triangle(0.4 mV^-1)") -> str:
    """A neuron that fires by itself and counts its spikes; those of others make its potential jump."""
    return _LIF.replace("SURROGATE", surrogate)


NETWORK = """
neuron lif {
  param τ_m = 20 ms, θ = 20 mV, v_reset = 10 mV, τ_ref = 2 ms, μ = 24 mV
  input I : mV/ms = 0 mV/ms
  state v ~ uniform(0 mV, 20 mV)
  v' = (μ - v)/τ_m + I
  spike when v > θ { v <- v_reset }  refractory τ_ref
}

circuit network(N: int = 1000, p: real = 0.09, J: mV = 0.2 mV, μ: mV = 24 mV) {
  population E[round(0.8*N)], I[round(0.2*N)] : lif(μ = μ)
  group cells = [E, I]
  connect E -> cells { rule = bernoulli(p); weight = J }
  connect I -> cells { rule = bernoulli(p); weight = -5*J }
}
"""
"""Recurrent leaky integrate-and-fire neurons with delta synapses, K about 90, dominated by inhibition.

Source: Brunel 2000, doi:10.1023/A:1008925309027.
"""
