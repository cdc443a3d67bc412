"""Random numbers whose stream never changes, so that a seed names the same windows for ever.

numpy guarantees the raw stream of a bit generator (PCG64) but not that of `Generator.normal` and its kin
(NEP 19), so the few distributions needed here are derived from the raw words by formulas of our own."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class Stream:
    """A seeded stream of uniform and normal variates."""

    def __init__(self, *seed: int) -> None:
        self._bits = np.random.PCG64(np.random.SeedSequence(list(seed)))

    def uniforms(self, count: int) -> Floats:
        """`count` values in [0, 1): the top 53 bits of each raw word."""
        words = np.asarray(self._bits.random_raw(count), dtype=np.uint64)
        return (words >> np.uint64(11)).astype(np.float64) * 2.0**-53

    def normals(self, count: int) -> Floats:
        """`count` standard normal values (Box-Muller)."""
        half = (count + 1) // 2
        radius = np.sqrt(-2.0 * np.log1p(-self.uniforms(half)))
        angle = 2.0 * np.pi * self.uniforms(half)
        return np.concatenate([radius * np.cos(angle), radius * np.sin(angle)])[:count]

    def uniform(self, low: float, high: float) -> float:
        return low + (high - low) * float(self.uniforms(1)[0])

    def normal(self, mean: float, deviation: float) -> float:
        return mean + deviation * float(self.normals(1)[0])

    def spread(self, median: float, deviation: float) -> float:
        """Log-normal: `median` times e to a normal of `deviation`; for sizes and amplitudes, which are never
        negative."""
        return median * float(np.exp(self.normal(0.0, deviation)))

    def chance(self, probability: float) -> bool:
        return float(self.uniforms(1)[0]) < probability
