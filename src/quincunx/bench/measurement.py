"""What one benchmark run found: accuracy, epochs and cost."""

import math
from dataclasses import dataclass
from typing import Any

from quincunx.notebook import from_fields


@dataclass(frozen=True)
class Measurement:
    """C2ST per observation and CPU seconds of one method on one task.

    CPU seconds are those of the whole process, compilation included: ``training_cpu`` from the simulations to a posterior that
    can be asked, ``sampling_cpu`` per observation for ``draws`` draws (the first includes compiling the sampler).
    """

    task: str
    method: str
    budget: int
    seed: int
    draws: int
    observations: tuple[int, ...]
    c2st: tuple[float, ...]
    epochs: int | None
    simulating_cpu: float
    training_cpu: float
    sampling_cpu: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Mean C2ST over the observations; 0.5 is perfect, 1 is useless (2101.04653)."""
        return sum(self.c2st) / len(self.c2st)

    @property
    def standard_error(self) -> float:
        """Standard error of the mean over observations, s / sqrt(n); NaN for a single one.

        >>> Measurement("t", "npe", 10, 0, 10, (1, 2), (0.5, 0.6), 3, 0.0, 1.0, (0.1, 0.1)).standard_error
        0.05
        """
        n = len(self.c2st)
        if n < 2:
            return math.nan
        return round(math.sqrt(sum((value - self.mean) ** 2 for value in self.c2st) / (n - 1) / n), 12)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "task": self.task,
            "method": self.method,
            "budget": self.budget,
            "seed": self.seed,
            "draws": self.draws,
            "observations": list(self.observations),
            "c2st": list(self.c2st),
            "c2st_mean": self.mean,
            "c2st_standard_error": self.standard_error,
            "epochs": self.epochs,
            "cpu_seconds": {
                "simulate": self.simulating_cpu,
                "train": self.training_cpu,
                "sample": list(self.sampling_cpu),
            },
        }

    _repr_html_ = from_fields
