"""What is promised of BDIA itself: trips equal to the bit, second order, and what a step costs."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from typing import Any

from sfumato_plugins.benches.inversion_yard import Row, Yard, rms

ROUND_TRIPS = (10, 20, 28, 50, 100)  # steps


def lattice_rows(yard: Yard, quick: bool) -> Iterator[Row]:
    """Bit for bit, both ways; and what noise -> image -> noise had to keep."""
    import torch

    from sfumato.diffusion.bdia import make_plan
    from sfumato.diffusion.schedule import flow_grid, log_grid, spaced_grid
    from sfumato.diffusion.walk import arithmetic, invert, reinvert, resample, sample

    few, trips = slice(0, 4), (10, 50) if quick else ROUND_TRIPS
    grids: dict[str, Any] = {"eps": log_grid, "v": spaced_grid, "flow": lambda table, n: flow_grid(n, 3.0)}
    for prediction, make in grids.items():
        for rounded in (None, "bfloat16"):
            predictor = yard.mixture(prediction, "float32", rounded)
            gammas: tuple[Any, ...] = (1.0, 0.96) if quick else (1.0, 0.96, "optimal", "o-belm")
            for gamma in gammas:
                equal, bits = 0, {}
                for steps in trips:
                    plan = make_plan(make(yard.table, steps), gamma, anyway=True)
                    clean, noise = yard.clean[few].float(), yard.pure[few].float()
                    inverted, sampled = invert(plan, predictor, clean), sample(plan, predictor, noise)
                    home, away = resample(plan, predictor, inverted), reinvert(plan, predictor, sampled)
                    enter = arithmetic(plan).enter
                    equal += torch.equal(home.pair.cleaner, enter(clean))
                    equal += torch.equal(away.pair.noisier, enter(noise))
                    bits[steps] = sampled.bits.per_element(noise.numel()), inverted.bits.per_element(clean.numel())
                yield {
                    "case": f"lattice: trips equal to the bit, N {', '.join(map(str, trips))}",
                    "method": f"{prediction}, {rounded or 'float32'}, gamma {gamma}",
                    "equal": equal,
                    "of": 2 * len(trips),
                    "bits_50": bits[50][0],
                    "bits_most": bits[trips[-1]][0],
                    "bits_50_up": bits[50][1],
                }


def order_rows(yard: Yard, quick: bool) -> Iterator[Row]:
    """Sampling error against steps, even log sigma, float64; the order is fitted between the last two."""
    from sfumato.diffusion.bdia import make_plan
    from sfumato.diffusion.ddim import ddim_sample
    from sfumato.diffusion.mixture import reference
    from sfumato.diffusion.schedule import log_grid
    from sfumato.diffusion.walk import latent, sample

    few, mixture = slice(0, 8), yard.mixture()
    clean = yard.clean[few]
    noise = reference(yard.exact, clean, yard.table.at(0), yard.table.at(999), 800)
    counts = (50, 100, 200, 400)
    plain = [rms(ddim_sample(mixture, log_grid(yard.table, n), noise), clean) for n in counts]
    case = "order: sample error, even log sigma"

    def fitted_row(method: str, errors: list[float], **more: float) -> Row:
        fitted = math.log2(errors[-2] / errors[-1])
        named = {f"N_{n}": e for n, e in zip(counts, errors)}
        return {"case": case, "method": method, **named, "order": fitted, "of_ddim": errors[-1] / plain[-1], **more}

    yield fitted_row("DDIM", plain)
    for gamma in (0.5, 0.9, 0.96, 1.0, "optimal"):
        errors = []
        for steps in counts:
            plan = make_plan(log_grid(yard.table, steps), gamma, level=None, inverting=False)
            errors.append(rms(latent(plan, sample(plan, mixture, noise)), clean))
        more = {"predicted": (1 - gamma) / (1 + gamma)} if isinstance(gamma, float) else {}
        yield fitted_row(f"BDIA {gamma}", errors, **more)


def cost_rows(yard: Yard, quick: bool) -> Iterator[Row]:
    """What a step costs besides the network, digest included, at the latent sizes of known models."""
    import torch

    from sfumato.diffusion.bdia import make_plan
    from sfumato.diffusion.schedule import log_grid
    from sfumato.diffusion.walk import invert, resample

    class Still:
        prediction = "eps"

        def __call__(self, latent: Any, node: Any) -> Any:
            return latent

    grid = log_grid(yard.table, 50)
    sizes = {"SD 1.5, 512 px": (1, 4, 64, 64), "SDXL, 1024 px": (1, 4, 128, 128), "Flux, 1024 px": (1, 16, 128, 128)}
    for name, shape in sizes.items():
        z = torch.randn(shape, generator=yard.generator)
        for gamma in (1.0, 0.96):
            plan = make_plan(grid, gamma)
            before = time.perf_counter()
            walk = invert(plan, Still(), z)  # type: ignore[arg-type]
            middle = time.perf_counter()
            resample(plan, Still(), walk, verify=True)  # type: ignore[arg-type]
            after = time.perf_counter()
            yield {
                "case": "cost of a step besides the network, ms",
                "method": f"{name}, gamma {gamma}",
                "invert_ms": 1000 * (middle - before) / 50,
                "resample_ms": 1000 * (after - middle) / 49,
            }
