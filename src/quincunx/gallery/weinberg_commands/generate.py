"""Events of e+ e- -> mu+ mu- near the Z pole at tree level, as a program of its own that needs NumPy only.

    python generate.py --energy 47 --s2 0.2315 --events 1000 --seed 1 --out events.json

writes {"cosines": [...]}: the cosine of each muon's angle, with density 3/8 (1 + c^2 + A c).
"""

import argparse
import json

import numpy as np

MASS, WIDTH, ALPHA, FERMI = 91.1876, 2.4952, 1 / 128.9, 1.1663787e-5


def asymmetry(s2: float, energy: float) -> float:
    """A at a beam energy in GeV: 2 (S - D) / (S + D), from the four helicity amplitudes."""
    s = (2 * energy) ** 2
    propagator = s / (s - MASS**2 + 1j * MASS * WIDTH)
    strength = np.sqrt(2) * FERMI * MASS**2 / (np.pi * ALPHA)
    vector, axial = -0.5 + 2 * s2, -0.5
    couplings = {"L": (vector + axial) / 2, "R": (vector - axial) / 2}

    def rate(electron: str, muon: str) -> float:
        return abs(1 + strength * couplings[electron] * couplings[muon] * propagator) ** 2

    same = rate("L", "L") + rate("R", "R")
    other = rate("L", "R") + rate("R", "L")
    return 2 * (same - other) / (same + other)


def generate(s2: float, energy: float, events: int, seed: int) -> np.ndarray:
    """Cosines by accepting and rejecting under 2 + |A|, the largest value of 1 + c^2 + A c."""
    rng = np.random.default_rng(seed)
    a = asymmetry(s2, energy)
    found = np.empty(0)
    while len(found) < events:
        c = rng.uniform(-1.0, 1.0, 2 * events + 100)
        accepted = rng.uniform(0.0, 2 + abs(a), len(c)) < 1 + c**2 + a * c
        found = np.concatenate([found, c[accepted]])
    return found[:events]


def main() -> None:
    """Read the command line and write the file."""
    parser = argparse.ArgumentParser(description="Cosines of muon angles in e+ e- -> mu+ mu-, at tree level.")
    parser.add_argument("--energy", type=float, required=True, help="beam energy in GeV: half that of the collision")
    parser.add_argument("--s2", type=float, required=True, help="sin^2 of the effective weak mixing angle")
    parser.add_argument("--events", type=int, default=1000, help="how many events")
    parser.add_argument("--seed", type=int, required=True, help="the same seed gives the same events")
    parser.add_argument("--out", required=True, help="the JSON file to write")
    given = parser.parse_args()
    cosines = generate(given.s2, given.energy, given.events, given.seed)
    with open(given.out, "w", encoding="utf-8") as file:
        json.dump({"cosines": cosines.tolist()}, file)


if __name__ == "__main__":
    main()
