"""The spiking workload in Brian2, C++ standalone. Runs in an environment of its own: `python -m benchmarks.spiking` says which.

PYTHON spiking_brian2.py NETWORK.npz FOLDER     builds two programs, of no step and of all, and prints JSON lines: the rate, then for
                                                each line that it reads the CPU seconds of the steps alone
"""

import json
import os
import resource
import subprocess
import sys

import numpy as np


def build(network, folder, steps):
    from brian2 import (
        Network,
        NeuronGroup,
        Synapses,
        defaultclock,
        device,
        ms,
        prefs,
        set_device,
    )

    device.reinit()
    device.activate()
    set_device("cpp_standalone", build_on_run=False, directory=folder)
    prefs.devices.cpp_standalone.openmp_threads = 0
    prefs.codegen.cpp.extra_compile_args_gcc = ["-w", "-O3", "-march=native", "-ffast-math", "-std=c++11"]
    from brian2 import float32

    prefs.core.default_float_dtype = float32
    defaultclock.dt = 0.1 * ms
    neurons = NeuronGroup(
        len(network["start"]),
        "dv/dt = (drive - v)/(20*ms) : 1 (unless refractory)\nfired : 1\ndrive : 1 (constant, shared)",
        threshold="v > 20",
        reset="v = 10; fired += 1",
        refractory=2 * ms,
        method="exact",
    )
    neurons.v, neurons.drive = network["start"], float(network["drive"])
    rows, target, weight = network["rows"], network["target"], network["weight"]
    pre = np.repeat(np.arange(len(rows) - 1), np.diff(rows))
    parts = [neurons]
    if len(weight) == len(target):
        synapses = Synapses(neurons, neurons, "w : 1", on_pre="v_post += w*int(not_refractory_post)")
        synapses.connect(i=pre, j=target)
        synapses.w = weight
        parts.append(synapses)
    else:
        for amount in np.unique(weight):
            some = weight[pre] == amount
            text = f"v_post += {float(amount)}*int(not_refractory_post)"
            synapses = Synapses(neurons, neurons, on_pre=text)
            synapses.connect(i=pre[some], j=target[some])
            parts.append(synapses)
    net = Network(*parts)
    net.run(steps * 0.1 * ms)
    device.build(directory=folder, compile=True, run=False, debug=False)
    return neurons


def seconds(folder):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([os.path.join(folder, "main")], cwd=folder, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main():
    network, folder = dict(np.load(sys.argv[1])), sys.argv[2]
    none, every = os.path.join(folder, "none"), os.path.join(folder, "every")
    build(network, none, 1)
    build(network, every, int(network["steps"]))
    seconds(every)
    (name,) = (one for one in os.listdir(os.path.join(every, "results")) if "fired" in one)
    fired = np.fromfile(os.path.join(every, "results", name), np.float32)
    print(json.dumps({"rate": float(fired.mean()) / (int(network["steps"]) * 1e-4)}), flush=True)
    for _ in sys.stdin:
        print(json.dumps({"seconds": seconds(every) - seconds(none)}), flush=True)


if __name__ == "__main__":
    main()
