"""A small model of the ear: sound to spikes of many channels, from low to high frequencies.

Filters a quarter of an octave and less apart (fourth-order gammatone, Patterson et al. 1992, with the bandwidths of Glasberg & Moore
1990), half-wave rectified and compressed, drive one leaky integrate-and-fire unit a channel with a refractory period. It has the
parts of the model behind the Spiking Heidelberg Digits (Cramer et al. 2020, doi:10.1109/TNNLS.2020.3044364) and none of their detail.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class Ear:
    """Frequencies in Hz, times in s. `gain` is the drive of a sound of unit root mean square, in thresholds per time constant."""

    channels: int = 70
    lowest: float = 80.0
    highest: float = 6000.0
    exponent: float = 0.4
    gain: float = 3.6
    leak: float = 0.008
    refractory: float = 0.006
    frame: float = 0.001

    @property
    def centres(self) -> Array:
        """Evenly spaced in numbers of equivalent rectangular bandwidths [channel]."""

        def number(f: float) -> float:
            return 21.4 * np.log10(1 + 0.00437 * f)

        spaced = np.linspace(number(self.lowest), number(self.highest), self.channels)
        return (10 ** (spaced / 21.4) - 1) / 0.00437

    def envelopes(self, sound: Array, rate: int) -> Array:
        """How strongly each channel is moved [channel, frame]. `sound` [sample] is scaled to unit root mean square first."""
        sound = sound / max(float(np.sqrt(np.mean(sound**2))), 1e-9)
        size = 1 << (2 * len(sound) - 1).bit_length()
        frequencies = np.fft.rfftfreq(size, 1 / rate)
        spectrum = np.fft.rfft(sound, size)
        step = round(self.frame * rate)
        count = len(sound) // step
        made = np.empty((self.channels, count))
        for channel, centre in enumerate(self.centres):
            width = 1.019 * 24.7 * (0.00437 * centre + 1)
            response = (1 + 1j * (frequencies - centre) / width) ** -4
            moved = np.maximum(np.fft.irfft(spectrum * response, size)[: len(sound)], 0)
            made[channel] = moved[: count * step].reshape(count, step).mean(axis=1)
        return made**self.exponent

    def spikes(self, sound: Array, rate: int) -> tuple[Array, Array]:
        """Times in s and channels of the spikes, by time."""
        drive = self.gain * self.envelopes(sound, rate)
        keep = np.exp(-self.frame / self.leak)
        potential, rest = np.zeros(self.channels), np.zeros(self.channels)
        times: list[Array] = []
        units: list[Array] = []
        for frame, now in enumerate(drive.T):
            open = rest <= 0
            potential = np.where(open, keep * potential + (1 - keep) * now, 0.0)
            fired = np.flatnonzero(potential > 1)
            potential[fired], rest = 0.0, rest - self.frame
            rest[fired] = self.refractory
            units.append(fired)
            times.append(np.full(len(fired), frame * self.frame))
        return np.concatenate(times), np.concatenate(units)
