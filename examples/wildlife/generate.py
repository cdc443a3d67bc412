"""Synthetic sounds of a wetland edge at 16 kHz: background, bird, frog, cricket, cicada.

THIS IS NOT RECORDED SOUND. No animal was heard for it; it exists so that a model with its own front end can
be compiled, shipped, run and measured from samples to classes. Do not judge a real place with a model
trained on it.

A clip is int16 [32000] (2 s), what a MEMS microphone with 26 dB of headroom above a quiet evening gives. It
begins in the background; the sound it is named for is somewhere in its second half, so that a listener who
heard the last second has heard some of it.

What is modelled. Each figure is an ASSUMPTION chosen to be plausible for temperate species in general, none
describes a species:

- background, in every clip: wind (noise below 60..300 Hz, falling by 12 dB an octave, in gusts of 0.1..0.8
  Hz), in half of the clips rain (0..400 drops a second, each a decaying burst of noise between 1 and 6 kHz,
  over a hiss), and the microphone's own noise, white. Loudness 45 dB below full scale, spread by 8 dB.
- bird: 2..6 syllables of 40..180 ms, 30..200 ms apart. A syllable is a sweep between two frequencies in
  2.0..7.0 kHz (rising, falling or arched), one in four a trill around its course by 25..60 Hz; second
  harmonic 20..40 dB down.
- frog: calls of 150..500 ms. A call is a train of pulses, 15..60 a second, of a tone at 400..1600 Hz with
  its second and third harmonics; each pulse decays.
- cricket: chirps, 2..4.5 a second, each of 2..5 pulses at 25..40 a second, of a nearly pure tone at
  3.6..5.4 kHz.
- cicada: noise between 4.0 and 7.6 kHz, 1..2.5 kHz wide, pulsed 80..250 times a second, swelling slowly,
  through the whole second half.
- singers differ (frequencies, tempo) and so do places (an echo of 20..90 ms at -12..-30 dB). The sound is
  between 3 dB below and 25 dB above the background of its clip: the faintest are hard to hear.

The same seed gives the same clips: see `examples.livestock.randomness`.

    python -m examples.wildlife.generate --seed 7 --clips 2
"""

import argparse
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from examples.livestock.randomness import Floats, Stream
from numpy.typing import NDArray

LABELS = ("background", "bird", "frog", "cricket", "cicada")
RATE_HZ = 16000
SAMPLES = 2 * RATE_HZ

Samples = NDArray[np.int16]


class Dataset(NamedTuple):
    clips: Samples  # int16 [N, 32000]
    labels: NDArray[np.uint8]  # [N], index into LABELS
    above_db: NDArray[np.float64]  # [N], the sound above the background; 0 for background alone


def _time_s(seconds: float) -> Floats:
    return np.arange(int(seconds * RATE_HZ)) / RATE_HZ


def _tone(hertz: Floats) -> Floats:
    """A sine whose frequency follows `hertz`."""
    return np.asarray(np.sin(2.0 * np.pi * np.cumsum(hertz) / RATE_HZ))


def _band(stream: Stream, count: int, low_hz: float, high_hz: float, fall: float = 0.0) -> Floats:
    """Noise of root mean square 1 in a band; above `low_hz` it falls by `fall` x 6 dB an octave."""
    spectrum = np.fft.rfft(stream.normals(count))
    hertz = np.fft.rfftfreq(count, 1.0 / RATE_HZ)
    shape = np.where((hertz >= low_hz) & (hertz <= high_hz), 1.0, 0.0)
    if fall:
        shape *= np.minimum(1.0, (max(low_hz, 30.0) / np.maximum(hertz, 1.0)) ** fall)
    return _level(np.fft.irfft(spectrum * shape, count))


def _level(sound: Floats) -> Floats:
    """The same sound at a root mean square of 1."""
    return np.asarray(sound / max(float(np.sqrt(np.mean(sound**2))), 1e-9))


def _fades(count: int, seconds: float) -> Floats:
    """Rises and falls as a raised cosine, `seconds` at each end."""
    edge = max(1, min(int(seconds * RATE_HZ), count // 2))
    ramp = 0.5 - 0.5 * np.cos(np.pi * (np.arange(edge) + 0.5) / edge)
    shape = np.ones(count)
    shape[:edge] = ramp
    shape[count - edge :] = ramp[::-1]
    return shape


def _place(sound: Floats, part: Floats, at_s: float) -> None:
    """Adds `part` to `sound` from `at_s` on, cut at its end."""
    first = int(at_s * RATE_HZ)
    room = max(0, min(len(part), len(sound) - first))
    sound[first : first + room] += part[:room]


def _wind(stream: Stream) -> Floats:
    gust = 1.0 + 0.7 * np.sin(
        2.0 * np.pi * (stream.uniform(0.0, 1.0) + stream.uniform(0.1, 0.8) * _time_s(2.0))
    )
    return gust * _band(stream, SAMPLES, stream.uniform(60.0, 300.0), 8000.0, fall=2.0)


def _rain(stream: Stream) -> Floats:
    sound = 0.4 * _band(stream, SAMPLES, 500.0, 8000.0)
    for _ in range(int(stream.uniform(0.0, 800.0))):
        length = int(stream.uniform(0.002, 0.012) * RATE_HZ)
        decay = np.exp(-4.0 * np.arange(length) / length)
        low = stream.uniform(1000.0, 4000.0)
        drop = stream.spread(1.0, 0.6) * decay * np.sin(2.0 * np.pi * low * np.arange(length) / RATE_HZ)
        _place(sound, drop, stream.uniform(0.0, 2.0))
    return sound


def _background(stream: Stream) -> Floats:
    sound = stream.uniform(0.2, 1.0) * _level(_wind(stream)) + 0.15 * stream.normals(SAMPLES)
    if stream.chance(0.5):
        sound = sound + stream.uniform(0.2, 1.0) * _level(_rain(stream))
    return _level(sound)


def _bird(stream: Stream) -> Floats:
    sound = np.zeros(SAMPLES // 2)
    start, end = stream.uniform(2000.0, 7000.0), stream.uniform(2000.0, 7000.0)
    length_s, gap_s = stream.uniform(0.04, 0.18), stream.uniform(0.03, 0.2)
    arch = stream.uniform(-1500.0, 1500.0) if stream.chance(0.4) else 0.0
    trill_hz = stream.uniform(25.0, 60.0) if stream.chance(0.25) else 0.0
    harmonic = 10.0 ** (-stream.uniform(20.0, 40.0) / 20.0)
    at_s = stream.uniform(0.0, 0.3)
    for _ in range(2 + int(stream.uniform(0.0, 5.0))):
        along = np.linspace(0.0, 1.0, int(length_s * stream.uniform(0.8, 1.2) * RATE_HZ))
        hertz = start + (end - start) * along + arch * np.sin(np.pi * along)
        if trill_hz:
            hertz = hertz + 300.0 * np.sin(2.0 * np.pi * trill_hz * along * length_s)
        hertz = np.clip(hertz * stream.uniform(0.97, 1.03), 1500.0, 7600.0)
        syllable = _tone(hertz) + harmonic * np.where(hertz < 3800.0, _tone(2.0 * hertz), 0.0)
        _place(sound, stream.uniform(0.6, 1.0) * _fades(len(along), 0.01) * syllable, at_s)
        at_s += length_s + gap_s * stream.uniform(0.7, 1.3)
    return sound


def _frog(stream: Stream) -> Floats:
    sound = np.zeros(SAMPLES // 2)
    carrier, rate = stream.uniform(400.0, 1600.0), stream.uniform(15.0, 60.0)
    second, third = stream.uniform(0.1, 0.7), stream.uniform(0.0, 0.4)
    call_s, gap_s = stream.uniform(0.15, 0.5), stream.uniform(0.1, 0.5)
    at_s = stream.uniform(0.0, 0.3)
    while at_s < 1.0:
        time = _time_s(call_s * stream.uniform(0.85, 1.15))
        hertz = np.full(len(time), carrier * stream.uniform(0.96, 1.04))
        pulse = np.exp(-3.0 * np.mod(time * rate, 1.0))
        call = pulse * (_tone(hertz) + second * _tone(2.0 * hertz) + third * _tone(3.0 * hertz))
        _place(sound, stream.uniform(0.7, 1.0) * _fades(len(time), 0.02) * call, at_s)
        at_s += call_s + gap_s
    return sound


def _cricket(stream: Stream) -> Floats:
    sound = np.zeros(SAMPLES // 2)
    carrier, pulse_hz = stream.uniform(3600.0, 5400.0), stream.uniform(25.0, 40.0)
    pulses, chirp_hz = 2 + int(stream.uniform(0.0, 4.0)), stream.uniform(2.0, 4.5)
    at_s = stream.uniform(0.0, 0.2)
    while at_s < 1.0:
        for k in range(pulses):
            count = int(0.6 / pulse_hz * RATE_HZ)
            hertz = carrier * np.linspace(1.01, 0.98, count)
            _place(sound, _fades(count, 0.004) * _tone(hertz), at_s + k / pulse_hz)
        at_s += max(1.0 / chirp_hz, (pulses + 1) / pulse_hz) * stream.uniform(0.92, 1.08)
    return sound


def _cicada(stream: Stream) -> Floats:
    width = stream.uniform(1000.0, 2500.0)
    low = stream.uniform(4000.0, 7600.0 - width)
    time = _time_s(1.0)
    pulse = 0.5 + 0.5 * np.sin(2.0 * np.pi * stream.uniform(80.0, 250.0) * time)
    swell = 1.0 + 0.5 * np.sin(2.0 * np.pi * (stream.uniform(0.0, 1.0) + stream.uniform(0.2, 1.5) * time))
    return np.asarray(
        swell * pulse**2 * _band(stream, SAMPLES // 2, low, low + width) * _fades(len(time), 0.1)
    )


_SINGERS: tuple[Callable[[Stream], Floats], ...] = (_bird, _frog, _cricket, _cicada)


def _echoed(sound: Floats, stream: Stream) -> Floats:
    """The sound and one echo of it."""
    late = int(stream.uniform(0.02, 0.09) * RATE_HZ)
    echo = 10.0 ** (-stream.uniform(12.0, 30.0) / 20.0)
    made = sound.copy()
    made[late:] += echo * sound[:-late]
    return made


def clip(label: int, stream: Stream) -> tuple[Samples, float]:
    """One clip, int16 [32000], and how far its sound is above the background. `label`: index into LABELS."""
    background = _background(stream)
    gain = 32767.0 * 10.0 ** ((-45.0 + stream.normal(0.0, 8.0)) / 20.0)
    above_db = 0.0
    if label:
        song = _SINGERS[label - 1](stream)
        above_db = stream.uniform(-3.0, 25.0)
        whole = np.concatenate([np.zeros(SAMPLES - len(song)), _level(song) * 10.0 ** (above_db / 20.0)])
        background = background + _echoed(whole, stream)
    return np.asarray(np.clip(np.round(gain * background), -32768, 32767), np.int16), above_db


def dataset(seed: int, clips: int) -> Dataset:
    """`clips` clips of each class, class by class in turn. Clip k depends on seed and k only. ValueError
    when an argument is out of bounds."""
    if seed < 0 or clips < 1:
        raise ValueError(f"dataset: want seed >= 0 and 1 or more clips of each class; got {seed}, {clips}")
    labels = np.tile(np.arange(len(LABELS), dtype=np.uint8), clips)
    made = [clip(int(label), Stream(seed, k)) for k, label in enumerate(labels)]
    return Dataset(np.stack([one for one, _ in made]), labels, np.array([above for _, above in made]))


def main() -> None:
    """Prints what a dataset sounds like: loudness and where in the spectrum it is, for each class."""
    parser = argparse.ArgumentParser(description="Describe a synthetic dataset (nothing is written).")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--clips", type=int, default=16, help="of each class")
    options = parser.parse_args()
    made = dataset(options.seed, options.clips)
    for index, label in enumerate(LABELS):
        mine = made.clips[made.labels == index, SAMPLES // 2 :].astype(np.float64)
        power = np.abs(np.fft.rfft(mine, axis=1)) ** 2
        hertz = np.fft.rfftfreq(mine.shape[1], 1.0 / RATE_HZ)
        centre = (power * hertz).sum(axis=1) / power.sum(axis=1)
        loudness = 20.0 * np.log10(np.sqrt((mine**2).mean(axis=1)) / 32768.0)
        print(f"{label}: {loudness.mean():.0f} dB of full scale, centre {np.median(centre):.0f} Hz")


if __name__ == "__main__":
    main()
