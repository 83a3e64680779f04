"""The spiking workload in NEST, one thread. Runs in an environment of its own: `python -m benchmarks.spiking` says which.

PYTHON spiking_nest.py NETWORK.npz FOLDER       prints JSON lines: the rate, then for each line that it reads the CPU seconds of the steps
                                                alone, each from where the last one ended
"""

import json
import os
import sys
import time

import numpy as np


def main():
    os.environ["PYNEST_QUIET"] = "1"
    out = os.dup(1)
    os.dup2(2, 1)  # NEST talks
    import nest

    network = dict(np.load(sys.argv[1]))
    nest.set_verbosity("M_ERROR")
    nest.ResetKernel()
    nest.SetKernelStatus({"resolution": 0.1, "local_num_threads": 1})
    tau, capacity = 20.0, 250.0
    shape = {"tau_m": tau, "C_m": capacity, "V_th": 20.0, "V_reset": 10.0, "E_L": 0.0, "t_ref": 2.0}
    neurons = nest.Create(
        "iaf_psc_delta", len(network["start"]), shape | {"I_e": float(network["drive"]) * capacity / tau}
    )
    neurons.V_m = network["start"].astype(float).tolist()
    rows, target, weight = network["rows"], network["target"], network["weight"]
    pre = np.repeat(np.arange(len(rows) - 1), np.diff(rows))
    each = (weight if len(weight) == len(target) else weight[pre]).astype(float)
    first = neurons[0].global_id
    given = {"weight": each, "delay": np.full(len(target), 0.1)}
    nest.Connect(pre + first, target + first, conn_spec="one_to_one", syn_spec=given)
    counter = nest.Create("spike_recorder", params={"record_to": "memory"})
    nest.Connect(neurons, counter)
    duration = int(network["steps"]) * 0.1

    def tell(**line):
        os.write(out, (json.dumps(line) + "\n").encode())

    nest.Simulate(duration)
    tell(rate=counter.n_events / len(network["start"]) / (duration * 1e-3))
    for _ in sys.stdin:
        counter.n_events = 0
        start = time.process_time()
        nest.Simulate(duration)
        tell(seconds=time.process_time() - start)


if __name__ == "__main__":
    main()
