"""One table of networks for the laws that all of them obey."""

import jax.numpy as jnp
import numpy as np
import pytest


def normal(*shape):
    return jnp.asarray(np.random.default_rng(11).normal(size=shape), jnp.float32)


def padded(n_max, n, d):
    return {"events": normal(n_max, d), "mask": jnp.arange(n_max) < n}


# kind: (specification, arguments of one example, output shape)
NETWORKS = {
    "mlp": ({"kind": "mlp", "in_size": 3, "out_size": 2, "width": 8}, (normal(3),), (2,)),
    "mlp-no-hidden": ({"kind": "mlp", "in_size": 1, "out_size": 1, "depth": 0}, (normal(1),), (1,)),
    "resmlp": ({"kind": "resmlp", "in_size": 5, "out_size": 3, "width": 7, "depth": 1}, (normal(5),), (3,)),
    "deepset": ({"kind": "deepset", "in_size": 2, "out_size": 3, "width": 8, "depth": 1}, (padded(5, 3, 2),), (3,)),
    "conv1d": ({"kind": "conv1d", "out_size": 3, "width": 4, "depth": 2, "stride": 2}, (normal(7),), (3,)),
    "conv1d-channels": (
        {"kind": "conv1d", "out_size": 2, "channels": 3, "width": 4, "depth": 1, "kernel": 4},
        (normal(5, 3),),
        (2,),
    ),
    "conv2d": ({"kind": "conv2d", "out_size": 3, "width": 4, "depth": 2}, (normal(7, 5),), (3,)),
    "conv2d-channels": (
        {"kind": "conv2d", "out_size": 2, "channels": 3, "width": 4, "depth": 1},
        (normal(3, 4, 3),),
        (2,),
    ),
    "gru": ({"kind": "gru", "in_size": 2, "out_size": 3, "width": 5}, (normal(7, 2),), (3,)),
    "attention": (
        {"kind": "attention", "in_size": 2, "out_size": 3, "width": 6, "heads": 2, "depth": 1},
        (normal(7, 2),),
        (3,),
    ),
    "adaln": (
        {"kind": "adaln", "dim": 3, "condition_dim": 2, "width": 8, "depth": 1, "modulation_size": 6},
        (jnp.array(0.3), normal(3), normal(2)),
        (3,),
    ),
    "ratio": (
        {
            "kind": "ratio",
            "theta_size": 2,
            "x_size": 3,
            "width": 8,
            "depth": 1,
            "embedding": {"kind": "deepset", "in_size": 2, "out_size": 3, "width": 4, "depth": 1},
        },
        (normal(2), padded(4, 2, 2)),
        (),
    ),
    "history_policy": (
        {"kind": "history_policy", "design_size": 2, "event_size": 3, "width": 8, "depth": 1, "encoding": 4},
        (normal(5, 3),),
        (2,),
    ),
    "history_critic": (
        {"kind": "history_critic", "theta_size": 2, "event_size": 3, "width": 8, "depth": 1, "encoding": 4},
        (normal(2), normal(5, 3)),
        (),
    ),
    "gram_ratio": (
        {"kind": "gram_ratio", "theta_size": 2, "x_size": 3, "degree": 2, "width": 8, "depth": 1},
        (normal(2), normal(3)),
        (),
    ),
    "projected_ratio": (
        {
            "kind": "projected_ratio",
            "reference": [0.5, -0.5],
            "ratio": {"kind": "ratio", "theta_size": 2, "x_size": 1, "width": 8, "depth": 1},
        },
        (normal(2), normal(3)[:2]),
        (),
    ),
    "velocity": (
        {
            "kind": "velocity",
            "network": {"kind": "adaln", "dim": 2, "condition_dim": 1, "width": 8, "depth": 1},
            "steps": 2,
        },
        (jnp.array(0.3), normal(2), normal(1)),
        (2,),
    ),
    "denoiser": (
        {
            "kind": "denoiser",
            "network": {
                "kind": "adaln",
                "dim": 2,
                "condition_dim": 3,
                "width": 8,
                "depth": 1,
                "embedding": {"kind": "gru", "in_size": 1, "out_size": 3, "width": 4},
            },
            "steps": 2,
        },
        (jnp.array(0.3), normal(2), normal(5, 1)),
        (2,),
    ),
}


@pytest.fixture(params=NETWORKS)
def member(request):
    """(specification, arguments, output shape) of one network after another."""
    return NETWORKS[request.param]
