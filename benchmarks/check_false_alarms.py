"""How often the default set of checks raises a false alarm, and how often it catches each wrong answer.

    python benchmarks/check_false_alarms.py [REPEATS]

theta ~ N(0, I_2), x ~ N(theta, I): the posterior N(x / 2, I / 2) is exact, and is then spoilt in one way each. Every repeat
is a whole report of qx.check (300 simulations, 99 draws each) at a fresh observation.
"""

import sys
import time
import warnings

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist

import quincunx as qx

WRONGS = {
    "exact": (1.0, 0.0, True),
    "variance halved": (0.5**0.5, 0.0, True),
    "sd 10 % too small": (0.9, 0.0, True),
    "variance doubled": (2.0**0.5, 0.0, True),
    "biased by 0.3 sd": (1.0, 0.3, True),
    "prior only": (2.0**0.5, 0.0, False),
}


class StandIn(eqx.Module):
    """q(theta | x) = N(x / 2 + shift / sqrt(2), scale^2 / 2), or the prior."""

    prior: qx.Prior
    x_o: np.ndarray
    kind: str = eqx.field(static=True)

    def _moments(self, x):
        scale, shift, looks = WRONGS[self.kind]
        return (jnp.asarray(x) / 2 if looks else 0.0 * jnp.asarray(x)) + shift * 0.5**0.5, scale * 0.5**0.5

    def sample_many(self, n, x, *, key):
        mean, sd = self._moments(x)
        return {"theta": mean[:, None] + sd * jax.random.normal(key, (len(mean), n, 2))}

    def log_prob_many(self, theta, x):
        mean, sd = self._moments(x)
        return jnp.sum(-0.5 * ((theta["theta"] - mean[:, None]) / sd) ** 2, axis=-1)


def main(repeats: int) -> None:
    prior = qx.Prior(theta=dist.Normal(jnp.zeros(2), 1.0).to_event(1))
    simulator = qx.wrap(lambda theta, *, key: theta["theta"] + jax.random.normal(key, (2,)), prior, name="gaussian")
    warnings.simplefilter("ignore", qx.errors.CalibrationWarning)
    print(f"{'answer':<18} {'repeats':>7} {'fail':>6} {'warn':>6} {'CPU s a report':>14}   p < 0.05 by test")
    for kind in WRONGS:
        count = repeats if kind == "exact" else max(5, repeats // 10)
        started = time.process_time()
        reports = []
        for seed in range(count):
            rng = np.random.default_rng(seed)
            x_o = (rng.normal(size=2) + rng.normal(size=2)).astype(np.float32)
            reports.append(qx.check(StandIn(prior, x_o, kind), simulator, key=seed))
        fails, warns = (np.mean([r.status in wanted for r in reports]) for wanted in (("fail",), ("fail", "warn")))
        shares = {t.name: np.mean([r[t.name].p_value < 0.05 for r in reports]) for t in reports[0].results}
        said = ", ".join(f"{name} {share:.2f}" for name, share in shares.items())
        seconds = (time.process_time() - started) / count
        print(f"{kind:<18} {count:>7} {fails:>6.3f} {warns:>6.3f} {seconds:>14.2f}   {said}", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
