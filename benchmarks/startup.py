"""How long does it take to begin? Wall seconds of a fresh process, the median of seven.

| what              | ours | limit |
"""

import statistics
import subprocess
import sys
import time

CASES = (
    ("import quincunx", ["-c", "import quincunx"], 1.0),
    ("quincunx --help", ["-m", "quincunx.cli", "--help"], 0.3),
    ("python -c pass", ["-c", "pass"], None),
)


def seconds(arguments: list[str]) -> float:
    """Wall seconds of one process."""
    started = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def main() -> int:
    """Print the table; fail when a limit is broken."""
    print(f"{'what':<20}{'ours':>8}{'limit':>8}")
    late = False
    for what, arguments, limit in CASES:
        took = statistics.median(seconds(arguments) for _ in range(7))
        late |= limit is not None and took > limit
        print(f"{what:<20}{took:>8.3f}{'' if limit is None else limit:>8}")
    return int(late)


if __name__ == "__main__":
    sys.exit(main())
