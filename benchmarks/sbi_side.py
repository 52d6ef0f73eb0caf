"""The peer's half of against_sbi.py, run by the Python of the environment that holds the `sbi` package.

Usage: python sbi_side.py JOB.json. The job names a .npz of simulations (theta, x) and observations, a prior, a method
and a seed; draws go to another .npz and what it cost to a .json. One thread, the package's defaults throughout.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
import sbi
import torch
from sbi.inference import NLE, NPE, NRE_B, NRE_C
from sbi.utils import BoxUniform

METHODS = {"npe": NPE, "nle": NLE, "nre": NRE_C, "nre_b": NRE_B}


def prior_of(spec: dict) -> torch.distributions.Distribution:
    """The prior in torch: a box, or independent normals."""
    if spec["kind"] == "box":
        return BoxUniform(torch.tensor(spec["low"]), torch.tensor(spec["high"]))
    return torch.distributions.MultivariateNormal(torch.tensor(spec["mean"]), torch.diag(torch.tensor(spec["sd"]) ** 2))


def main(job_path: Path) -> None:
    """Train once, draw for every observation, write draws and costs."""
    job = json.loads(job_path.read_text())
    torch.set_num_threads(1)
    torch.manual_seed(job["seed"])
    np.random.seed(job["seed"])
    data = np.load(job["simulations"])
    theta, x = torch.from_numpy(data["theta"]), torch.from_numpy(data["x"])

    started = time.process_time()
    trainer = METHODS[job["method"]](prior=prior_of(job["prior"]), show_progress_bars=False)
    trainer.append_simulations(theta, x).train()
    training = time.process_time() - started
    epochs = int(trainer.summary["epochs_trained"][-1])

    draws, sampling = [], []
    for x_o in torch.from_numpy(data["x_o"]):
        started = time.process_time()
        posterior = trainer.build_posterior()
        draws.append(posterior.sample((job["draws"],), x=x_o, show_progress_bars=False).numpy())
        sampling.append(time.process_time() - started)
    np.savez(job["output"], draws=np.stack(draws))
    cost = {
        "training": training,
        "sampling": sampling,
        "epochs": epochs,
        "sbi": sbi.__version__,
        "torch": torch.__version__,
    }
    Path(job["output"]).with_suffix(".json").write_text(json.dumps(cost))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
