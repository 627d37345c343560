"""How the threads that compute share the cores with everything else."""

from __future__ import annotations

import os


def let_threads_sleep() -> None:
    """Let PyTorch's threads soon give up their cores while they wait for each other; before torch is imported.

    GNU's OpenMP lets them spin for milliseconds, hundreds of times a step of training: with the workers that make
    pictures, or any other program, on the same cores, a step then takes several times as long. What the user has set is
    kept.
    """
    if not {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"} & os.environ.keys():
        os.environ["GOMP_SPINCOUNT"] = "5000"  # some ten microseconds
