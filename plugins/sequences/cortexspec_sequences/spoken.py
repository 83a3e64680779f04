"""The digits 0 to 9 in English and German as sound: a small formant synthesiser, every speaker with a voice of their own.

SYNTHETIC. Each word is a list of sounds; a sound has three formants (Hz), how voiced and how noisy it is, and a length (ms). A source of
pulses and noise goes through resonators whose frequencies glide between sounds (Klatt 1980, cut down). It is made once, by
`python -m cortexspec_sequences.spoken FILE`, and the file is shipped.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cortexspec_sequences.cochlea import Ear

Array = np.ndarray[Any, Any]
RATE = 16_000


@dataclass(frozen=True, slots=True)
class Sound:
    """`noise_at`: the middle of the band of its noise, Hz."""

    formants: tuple[float, float, float]
    voice: float = 1.0
    noise: float = 0.0
    noise_at: float = 1500.0
    ms: float = 90.0


_S, _F = Sound((300, 1700, 2600), 0, 0.7, 5200, 110), Sound((300, 1100, 2400), 0, 0.35, 3000, 90)
SOUNDS: dict[str, Sound] = {
    "i": Sound((280, 2250, 2950)), "I": Sound((400, 1950, 2550), ms=70), "e": Sound((420, 2050, 2600)),
    "E": Sound((560, 1800, 2500)), "a": Sound((750, 1250, 2500), ms=110), "V": Sound((640, 1200, 2400), ms=80),
    "o": Sound((460, 850, 2400)), "O": Sound((560, 880, 2450), ms=100), "u": Sound((310, 850, 2250)),
    "U": Sound((430, 1050, 2300), ms=70), "y": Sound((300, 1750, 2200)), "@": Sound((500, 1450, 2450), ms=55),
    "r": Sound((400, 1200, 1650), 0.8, ms=60), "R": Sound((480, 1150, 2300), 0.7, 0.08, 1200, 60),
    "w": Sound((300, 700, 2200), 0.8, ms=60), "v": Sound((280, 1100, 2300), 0.6, 0.15, 3500, 60),
    "n": Sound((260, 1450, 2500), 0.6, ms=80), "m": Sound((250, 1050, 2200), 0.6, ms=80),
    "s": _S, "z": Sound((280, 1700, 2600), 0.4, 0.4, 5000, 80), "f": _F, "T": Sound((300, 1400, 2500), 0, 0.25, 4500, 80),
    "x": Sound((500, 1200, 2400), 0, 0.4, 1600, 90), "C": Sound((300, 2000, 2700), 0, 0.45, 3300, 80),
    "t": Sound((350, 1750, 2600), 0, 0.8, 4200, 25), "k": Sound((350, 1800, 2300), 0, 0.7, 2000, 30),
    "-": Sound((400, 1500, 2500), 0, 0, ms=45),
}  # fmt: skip
WORDS = (
    "z i r o", "w V n", "t u", "T r i", "f o r", "f a I v", "s I - k s", "s E v @ n", "e I - t", "n a I n",
    "n U l", "a I n s", "- t s v a I", "- d R a I", "f i R", "f y n f", "z E - k s", "z i b @ n", "a x - t", "n O y n",
)  # fmt: skip
_AS = {"d": "t", "b": "v", "l": "n"}  # near enough


@dataclass(frozen=True, slots=True)
class Speaker:
    """`pitch` in Hz; `tract` multiplies formants, `pace` lengths."""

    pitch: float
    tract: float
    pace: float
    breath: float

    @staticmethod
    def drawn(draw: np.random.Generator) -> Speaker:
        high = draw.random() < 0.5
        pitch = draw.normal(200, 20) if high else draw.normal(115, 15)
        return Speaker(
            pitch,
            draw.normal(1.12 if high else 0.97, 0.04),
            float(np.exp(draw.normal(0, 0.12))),
            draw.uniform(0.02, 0.08),
        )


def spoken(word: str, speaker: Speaker, draw: np.random.Generator) -> Array:
    """A word as sound [sample] at `RATE`."""
    sounds = [SOUNDS[_AS.get(one, one)] for one in word.split()]
    lengths = [one.ms * speaker.pace * float(np.exp(draw.normal(0, 0.1))) / 1000 for one in sounds]
    ends = np.cumsum(lengths)
    times = np.arange(int(ends[-1] * RATE)) / RATE
    middles = ends - np.array(lengths) / 2

    def glide(values: list[float]) -> Array:
        return np.interp(times, middles, values)

    voice, noise = glide([one.voice for one in sounds]), glide([one.noise for one in sounds])
    pitch = speaker.pitch * (1 + 0.06 * np.cos(np.pi * times / ends[-1])) * (1 + 0.01 * draw.normal())
    phase = np.cumsum(pitch) / RATE
    pulses = np.diff(np.floor(phase), prepend=0.0)
    hiss = draw.normal(size=len(times))
    source = voice * (pulses + speaker.breath * 0.3 * hiss)
    wobble = np.exp(draw.normal(0, 0.03, size=3))
    made = source
    for place, (width, shake) in enumerate(zip((70.0, 100.0, 150.0), wobble, strict=True)):
        made = _resonated(made, glide([one.formants[place] * speaker.tract * shake for one in sounds]), width)
    made = made / max(float(np.abs(made).max()), 1e-9)
    band = _resonated(hiss, glide([one.noise_at * speaker.tract for one in sounds]), 900.0)
    return made + noise * band / max(float(np.abs(band).max()), 1e-9)


def _resonated(sound: Array, frequency: Array, width: float) -> Array:
    """Through a resonator of two poles whose frequency moves [sample]."""
    radius = np.exp(-np.pi * width / RATE)
    first, second = 2 * radius * np.cos(2 * np.pi * frequency / RATE), -(radius**2)
    gains = 1 - first - second
    made = np.empty_like(sound)
    before = earlier = 0.0
    for place, (x, a) in enumerate(zip((sound * gains).tolist(), first.tolist(), strict=True)):
        before, earlier = x + a * before + second * earlier, before
        made[place] = before
    return made


def recordings(speakers: int, seed: int) -> dict[str, Array]:
    """Every word by every speaker: `times` (ms) and `units` of all spikes, `ends` of each recording among them, `labels`, `speakers`."""
    draw, ear = np.random.default_rng(seed), Ear()
    times: list[Array] = []
    units: list[Array] = []
    who: list[int] = []
    labels: list[int] = []
    for person in range(speakers):
        speaker = Speaker.drawn(draw)
        for label, word in enumerate(WORDS):
            sound = spoken(word, speaker, draw)
            sound = np.concatenate([np.zeros(int(draw.uniform(0.02, 0.1) * RATE)), sound])
            found = ear.spikes(sound + 0.002 * draw.normal(size=len(sound)), RATE)
            times.append(np.round(found[0] * 1000).astype(np.uint16))
            units.append(found[1].astype(np.uint8))
            labels.append(label)
            who.append(person)
    return {
        "times": np.concatenate(times), "units": np.concatenate(units), "ends": np.cumsum([len(one) for one in times]),
        "labels": np.array(labels, np.uint8), "speakers": np.array(who, np.uint8),
    }  # fmt: skip


if __name__ == "__main__":
    np.savez_compressed(Path(sys.argv[1]), **recordings(40, 0))
