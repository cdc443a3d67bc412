"""Synthetic collar accelerometer windows of a grazing animal: resting, grazing, walking, running.

THIS IS NOT RECORDED DATA. No animal wore a sensor for it; it exists so that the whole chain (train,
compile, ship, run, watch) has a model whose accuracy can be measured. Do not judge real animals with a
model trained on it.

A window is int16 [128 samples][3 axes] in milli-g at 25 Hz (5.12 s). Axes of a collar that sits well: x
forward along the neck, y to the animal's left, z up; at rest with a level neck the sensor reads (0, 0,
+1000). Readings are clipped to +-4 g and rounded to 2 mg, which is what a common 12-bit MEMS accelerometer
gives in that range (LIS2DH12 datasheet, high-resolution mode).

What is modelled, in milli-g and hertz. Each figure is an ASSUMPTION chosen to be plausible, except where a
source stands:

- resting: lying or standing, head anywhere from low to raised. Half of the time ruminating: jaw 0.85..1.25
  Hz with its second harmonic, 15..60. In a third of the windows flicks of ear or head against flies, bursts
  of 150..600.
- grazing: head 38..66 degrees down. Bites 0.6..1.45 Hz, each a backward and upward pull of the head over a
  quarter to two fifths of the cycle, 60..320; between them chewing, and in a third of the windows slow
  steps, which look like walking.
- walking: strides 0.65..1.15 Hz, 55..240. Each of the two steps in a stride is felt up-down and fore-aft,
  the stride itself left-right, the head nods with the step. In a tenth of the windows the animal walks with
  its head down, which looks like grazing.
- running: strides 1.35..2.6 Hz, trot (two impacts a stride) or canter (one), 330..1600 with peaks 1.4 times
  that, so that a few clip. The range holds the stride frequency at the trot-gallop transition, 269 M^-0.14
  a minute with M in kg: 1.8 Hz at 600 kg, 2.5 Hz at 60 kg (Heglund, Taylor, McMahon, Science 186:1112,
  1974).
- animals differ in size (frequencies), vigour (amplitudes), how low they hold the head, gait symmetry, and
  in how the collar sits: turned about the neck, tilted, and slipping a little from window to window.
  Sensors differ in offset, gain and noise.
- three windows in ten hold a transition: a neighbouring activity takes 15..52 % of them, at one end. The
  label is the activity an observer wrote down; beyond 50 % that was a moment late, so the label is wrong,
  as some labels of real recordings are. This, more than noise, is why no model can be right always.

The same seed gives the same windows: see `randomness`.

    python -m examples.livestock.generate --seed 7 --animals 2 --windows 3
"""

import argparse
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from examples.livestock.randomness import Floats, Stream
from numpy.typing import NDArray

LABELS = ("resting", "grazing", "walking", "running")
RESTING, GRAZING, WALKING, RUNNING = range(4)
SAMPLES = 128
CHANNELS = 3
RATE_HZ = 25.0
RANGE_MG = 4000
RESOLUTION_MG = 2
TRANSITION_SHARE = 0.3

Windows = NDArray[np.int16]
_TIME_S: Floats = np.arange(SAMPLES) / RATE_HZ


@dataclass(frozen=True, slots=True)
class Animal:
    """What one animal and its collar keep from window to window. Angles in degrees, offsets in milli-g."""

    tempo: float  # multiplies every gait frequency; small animals are quick
    vigour: float  # multiplies every amplitude
    asymmetry: float  # how much one step of a stride differs from the other, 0..0.5
    bite_hz: float
    chew_hz: float
    head_low_deg: float  # pitch of the neck when grazing
    roll_deg: float  # the collar turned about the neck
    pitch_deg: float
    yaw_deg: float
    offset_mg: tuple[float, float, float]
    gain: tuple[float, float, float]
    noise_mg: float


class Dataset(NamedTuple):
    windows: Windows  # int16 [N, 128, 3], milli-g
    labels: NDArray[np.uint8]  # [N], index into LABELS
    animals: NDArray[np.uint8]  # [N], which animal of the herd


def animal(stream: Stream) -> Animal:
    """Draws one animal with its collar."""
    return Animal(
        tempo=stream.spread(1.0, 0.08),
        vigour=stream.spread(1.0, 0.22),
        asymmetry=stream.uniform(0.0, 0.35),
        bite_hz=stream.uniform(0.75, 1.2),
        chew_hz=stream.uniform(0.95, 1.15),
        head_low_deg=stream.uniform(38.0, 66.0),
        roll_deg=stream.normal(0.0, 22.0),
        pitch_deg=stream.normal(0.0, 8.0),
        yaw_deg=stream.normal(0.0, 8.0),
        offset_mg=(stream.normal(0.0, 20.0), stream.normal(0.0, 20.0), stream.normal(0.0, 20.0)),
        gain=(stream.normal(1.0, 0.015), stream.normal(1.0, 0.015), stream.normal(1.0, 0.015)),
        noise_mg=stream.uniform(5.0, 11.0),
    )


def _phase(stream: Stream, hertz: float, jitter: float) -> Floats:
    """Cycles of a rhythm of `hertz` whose period wanders by `jitter` (relative, in one second)."""
    wander = np.cumsum(stream.normals(SAMPLES)) * jitter * hertz / np.sqrt(RATE_HZ)
    return np.asarray(stream.uniform(0.0, 1.0) + hertz * _TIME_S + wander)


def _wave(cycles: Floats, offset: float = 0.0) -> Floats:
    return np.asarray(np.sin(2.0 * np.pi * (cycles + offset)))


def _sway(stream: Stream, amplitude: float) -> Floats:
    """Slow movement below 0.4 Hz: two sines of random frequency."""
    slow = _wave(stream.uniform(0.0, 1.0) + stream.uniform(0.05, 0.15) * _TIME_S)
    slower = _wave(stream.uniform(0.0, 1.0) + stream.uniform(0.15, 0.4) * _TIME_S)
    return np.asarray(amplitude * (0.7 * slow + 0.3 * slower))


def _burst(stream: Stream, amplitude: float) -> Floats:
    """A flick: a decaying 3..7 Hz oscillation somewhere in the window."""
    start_s = stream.uniform(0.0, SAMPLES / RATE_HZ)
    since_s = np.maximum(_TIME_S - start_s, 0.0)
    envelope = np.where(start_s <= _TIME_S, np.exp(-since_s / stream.uniform(0.12, 0.35)), 0.0)
    return np.asarray(
        amplitude * envelope * _wave(stream.uniform(3.0, 7.0) * since_s, stream.uniform(0.0, 1.0))
    )


def _pulses(cycles: Floats, width: float, jitter: Floats) -> Floats:
    """A half-sine pulse a cycle, `width` of the cycle wide; `jitter` (a factor a cycle) scales each."""
    number = np.floor(cycles)
    within = cycles - number
    scale = jitter[(number - number[0]).astype(np.int64) % len(jitter)]
    return np.asarray(np.where(within < width, np.sin(np.pi * within / width), 0.0) * scale)


class _Motion(NamedTuple):
    """What the neck does: its pitch, and its acceleration beyond gravity in its own axes."""

    pitch_deg: Floats  # [128], up is positive
    acceleration_mg: Floats  # [128, 3]


def _axes(x: Floats, y: Floats, z: Floats) -> Floats:
    return np.stack([x, y, z], axis=1)


def _rest(a: Animal, stream: Stream) -> _Motion:
    centre_deg = stream.uniform(-48.0, 12.0) if stream.chance(0.35) else stream.uniform(-22.0, 12.0)
    pitch = centre_deg + _sway(stream, stream.uniform(0.3, 3.0))
    motion = np.zeros((SAMPLES, CHANNELS))
    if stream.chance(0.5):
        cycles = _phase(stream, a.chew_hz * stream.uniform(0.9, 1.1), 0.04)
        size = a.vigour * stream.uniform(15.0, 60.0)
        jaw = size * (_wave(cycles) + 0.45 * _wave(2.0 * cycles, 0.2))
        motion += _axes(0.8 * jaw, 0.5 * size * _wave(cycles, 0.25), 0.6 * jaw)
    if stream.chance(0.3):
        for _ in range(1 + int(stream.uniform(0.0, 2.5))):
            size = a.vigour * stream.uniform(150.0, 600.0)
            motion += _axes(_burst(stream, 0.6 * size), _burst(stream, size), _burst(stream, 0.5 * size))
    return _Motion(pitch, motion)


def _graze(a: Animal, stream: Stream) -> _Motion:
    pitch = -a.head_low_deg + stream.normal(0.0, 7.0) + _sway(stream, stream.uniform(2.0, 9.0))
    cycles = _phase(stream, a.bite_hz * stream.uniform(0.8, 1.2), 0.10)
    strength = np.clip(1.0 + 0.35 * stream.normals(16), 0.15, 2.0)
    if stream.chance(0.25):  # a pause of some bites, head still down: it looks around or chews
        first = int(stream.uniform(0.0, 4.0))
        strength[first : first + 3] *= 0.15
    pull = a.vigour * stream.uniform(60.0, 320.0) * _pulses(cycles, stream.uniform(0.22, 0.4), strength)
    chew = a.vigour * stream.uniform(10.0, 45.0) * _wave(_phase(stream, 1.3 * a.chew_hz, 0.06))
    motion = _axes(
        -pull + 0.5 * chew, 0.3 * pull * stream.uniform(-1.0, 1.0) + 0.4 * chew, 0.55 * pull + 0.5 * chew
    )
    if stream.chance(0.33):
        motion += 0.55 * _steps(a, stream, a.tempo * stream.uniform(0.4, 0.75))
    return _Motion(pitch, motion)


def _steps(a: Animal, stream: Stream, stride_hz: float) -> Floats:
    """Acceleration of a walk, [128, 3]: two steps a stride, unequal by the animal's asymmetry."""
    cycles = _phase(stream, stride_hz, 0.05)
    size = a.vigour * stream.uniform(55.0, 240.0)
    uneven = 1.0 + a.asymmetry * _wave(cycles, 0.1)
    shape = stream.uniform(0.15, 0.5)
    up = uneven * (_wave(2.0 * cycles) + shape * _wave(4.0 * cycles, 0.15) + 0.15 * _wave(6.0 * cycles, 0.4))
    forth = uneven * (0.7 * _wave(2.0 * cycles, 0.25) + 0.3 * shape * _wave(4.0 * cycles, 0.5))
    return size * _axes(forth, stream.uniform(0.3, 0.8) * _wave(cycles, 0.3), up)


def _walk(a: Animal, stream: Stream) -> _Motion:
    centre_deg = stream.uniform(-55.0, -30.0) if stream.chance(0.1) else stream.uniform(-28.0, 10.0)
    stride_hz = a.tempo * stream.uniform(0.65, 1.15)
    nod = _wave(_phase(stream, 2.0 * stride_hz, 0.05)) * stream.uniform(0.5, 3.5)
    return _Motion(centre_deg + _sway(stream, 4.0) + nod, _steps(a, stream, stride_hz))


def _run(a: Animal, stream: Stream) -> _Motion:
    cycles = _phase(stream, a.tempo * stream.uniform(1.35, 2.6), 0.04)
    size = a.vigour * stream.uniform(330.0, 1600.0)
    if stream.chance(0.5):  # trot: two impacts a stride
        beat, uneven = 2.0 * cycles, 1.0 + 0.5 * a.asymmetry * _wave(cycles, 0.1)
    else:
        beat, uneven = cycles, np.ones(SAMPLES)
    impact = uneven * _pulses(
        beat, stream.uniform(0.3, 0.45), np.clip(1.0 + 0.2 * stream.normals(32), 0.4, 1.8)
    )
    up = size * (1.5 * impact - 0.45 + 0.35 * _wave(beat, 0.1))
    forth = size * (0.5 * _wave(beat, 0.3) + 0.25 * _wave(2.0 * beat, 0.1))
    side = size * stream.uniform(0.15, 0.45) * _wave(cycles, 0.35)
    rock = _wave(cycles, 0.2) * stream.uniform(2.0, 9.0)
    return _Motion(stream.uniform(-25.0, 15.0) + rock, _axes(forth, side, up))


_MOTIONS = (_rest, _graze, _walk, _run)


def _rotation(roll_deg: float, pitch_deg: float, yaw_deg: float) -> Floats:
    """Matrix from the neck's axes to the sensor's: yaw, then pitch, then roll of the collar."""
    r, p, y = np.radians([roll_deg, pitch_deg, yaw_deg])
    about_x = np.array([[1, 0, 0], [0, np.cos(r), np.sin(r)], [0, -np.sin(r), np.cos(r)]])
    about_y = np.array([[np.cos(p), 0, -np.sin(p)], [0, 1, 0], [np.sin(p), 0, np.cos(p)]])
    about_z = np.array([[np.cos(y), np.sin(y), 0], [-np.sin(y), np.cos(y), 0], [0, 0, 1]])
    return np.asarray(about_x @ about_y @ about_z)


def window(a: Animal, activity: int, stream: Stream) -> Windows:
    """One window of `a` doing `activity`: int16 [128, 3], milli-g."""
    pitch, motion = _MOTIONS[activity](a, stream)
    if stream.chance(TRANSITION_SHARE):
        pitch, motion = _transition(a, activity, stream, _Motion(pitch, motion))
    tilt = np.radians(pitch)
    gravity = 1000.0 * _axes(np.sin(tilt), np.zeros(SAMPLES), np.cos(tilt))
    slip = (stream.normal(0.0, 5.0), stream.normal(0.0, 2.0), stream.normal(0.0, 2.0))
    matrix = _rotation(a.roll_deg + slip[0], a.pitch_deg + slip[1], a.yaw_deg + slip[2])
    noise = a.noise_mg * stream.normals(SAMPLES * CHANNELS).reshape(SAMPLES, CHANNELS)
    # Written out: a matrix product's order of sums may differ between processors, and windows must not.
    felt = gravity + motion
    turned = felt[:, 0:1] * matrix[:, 0] + felt[:, 1:2] * matrix[:, 1] + felt[:, 2:3] * matrix[:, 2]
    reading = turned * np.array(a.gain) + np.array(a.offset_mg) + noise
    steps = np.rint(np.clip(reading, -RANGE_MG, RANGE_MG - RESOLUTION_MG) / RESOLUTION_MG)
    return np.asarray(steps * RESOLUTION_MG, dtype=np.int16)


def _transition(a: Animal, activity: int, stream: Stream, main: _Motion) -> _Motion:
    """Lets a neighbouring activity take 15..52 % of the window at one end, blended over half a second."""
    neighbours = [n for n in (activity - 1, activity + 1) if 0 <= n < len(LABELS)]
    other = _MOTIONS[neighbours[int(stream.uniform(0.0, len(neighbours)))]](a, stream)
    share = stream.uniform(0.15, 0.52)
    at_s = _TIME_S if stream.chance(0.5) else _TIME_S[::-1]
    weight = np.clip((share * SAMPLES / RATE_HZ - at_s) / 0.5 + 0.5, 0.0, 1.0)
    pitch = (1.0 - weight) * main.pitch_deg + weight * other.pitch_deg
    mixed = (1.0 - weight)[:, None] * main.acceleration_mg + weight[:, None] * other.acceleration_mg
    return _Motion(pitch, mixed)


def dataset(seed: int, animals: int, windows: int) -> Dataset:
    """`windows` windows of each activity for each of `animals` animals, in the order animal, turn, activity.

    Animal k depends on seed and k only, so a larger herd begins with the smaller one's animals. ValueError
    when an argument is out of bounds.
    """
    if not (1 <= animals <= 255 and windows >= 1 and seed >= 0):
        raise ValueError(
            f"dataset: want seed >= 0, 1..255 animals, 1 or more windows; got {seed}, {animals}, {windows}"
        )
    rows: list[Windows] = []
    for k in range(animals):
        stream = Stream(seed, k)
        one = animal(stream)
        rows += [window(one, activity, stream) for _ in range(windows) for activity in range(len(LABELS))]
    labels = np.tile(np.arange(len(LABELS), dtype=np.uint8), animals * windows)
    owners = np.repeat(np.arange(animals, dtype=np.uint8), windows * len(LABELS))
    return Dataset(np.stack(rows), labels, owners)


def main() -> None:
    """Prints what a dataset looks like: mean and deviation of each axis for each activity, in milli-g."""
    parser = argparse.ArgumentParser(description="Describe a synthetic dataset (nothing is written).")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--animals", type=int, default=4)
    parser.add_argument("--windows", type=int, default=16, help="of each activity, for each animal")
    options = parser.parse_args()
    made = dataset(options.seed, options.animals, options.windows)
    for index, label in enumerate(LABELS):
        mine = made.windows[made.labels == index].astype(np.float64)
        mean, deviation = mine.mean(axis=(0, 1)).round(), mine.std(axis=1).mean(axis=0).round()
        print(f"{label}: mean {mean}, deviation {deviation}")


if __name__ == "__main__":
    main()
