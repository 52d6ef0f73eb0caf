"""An experiment on e+ e- -> mu+ mu-: it is told where to measure and for how long, and nobody is told what nature is.

    python measure.py --energy 47 --events 200 --run 1 --out events.json

writes {"cosines": [...]}, as an instrument would. Nature is a program beside it, at an angle that is written here alone.
"""

import argparse
import json

from generate import generate

NATURE = 0.2315


def main() -> None:
    """Read the command line and write the file."""
    parser = argparse.ArgumentParser(description="Measure the cosines of muon angles in e+ e- -> mu+ mu-.")
    parser.add_argument("--energy", type=float, required=True, help="beam energy in GeV: half that of the collision")
    parser.add_argument("--events", type=int, required=True, help="how many events")
    parser.add_argument("--run", type=int, required=True, help="the number of the run: another one gives other events")
    parser.add_argument("--out", required=True, help="the JSON file to write")
    given = parser.parse_args()
    cosines = generate(NATURE, given.energy, given.events, given.run)
    with open(given.out, "w", encoding="utf-8") as file:
        json.dump({"cosines": cosines.tolist()}, file)


if __name__ == "__main__":
    main()
