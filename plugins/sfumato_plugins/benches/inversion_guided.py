"""Inversions under guidance, null-text among them: the mixture with a prompt that favours half of its components."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sfumato_plugins.benches.inversion_peers import vp_methods
from sfumato_plugins.benches.inversion_yard import Counted, Row, Walker, Yard, measured

COUNT = 8  # latents: fitting an empty prompt costs hundreds of gradients each
LIKELY = 4.0  # a favoured component weighs e^4 others


class Prompts:
    """The mixture under two prompts, latents of the first, and the predictors that methods ask."""

    def __init__(self, yard: Yard) -> None:
        from sfumato.diffusion.lattice import LEVEL, from_lattice, to_lattice
        from sfumato.diffusion.mixture import Mixture

        self.yard, self.half = yard, len(yard.exact.means) // 2
        favoured = Mixture(yard.exact.means[: self.half], yard.exact.stds[: self.half])
        clean = favoured.sample(COUNT, yard.table.at(0), yard.generator)
        self.clean = from_lattice(to_lattice(clean, LEVEL), LEVEL).double()

    def word(self, first: bool | None) -> Any:
        """The source prompt, the target prompt, or the empty one."""
        import torch

        from sfumato.diffusion.protocols import Context

        tokens = torch.zeros(COUNT, 1, 2 * self.half + self.yard.size, dtype=torch.float64)
        if first is not None:
            tokens[..., slice(0, self.half) if first else slice(self.half, 2 * self.half)] = LIKELY
        return Context(tokens)

    def guided(self, weight: float, first: bool = True, dtype: str = "float64") -> tuple[Any, Counted]:
        from sfumato.diffusion.guidance import Guided
        from sfumato.diffusion.mixture import Prompted

        counted: Any = Counted(Prompted(self.yard.mixture("eps", dtype)))
        return Guided(counted, self.word(first), self.word(None), weight), counted

    def reached(self, latents: Any) -> float:
        """The part of latents that lie in the target's components."""
        return float(self.yard.exact.shares(latents.double(), self.yard.table.at(0))[:, self.half :].sum(1).mean())


def guided_rows(yard: Yard, quick: bool) -> Iterator[Row]:
    """`latent` and `sample` against the exact guided flow; `gradients` besides the calls; `reached` after an edit."""
    from sfumato.diffusion.mixture import exact_flow
    from sfumato.diffusion.schedule import log_grid

    prompts, grid = Prompts(yard), log_grid(yard.table, 50)
    for weight in (3.0,) if quick else (3.0, 7.5):
        source, target = (prompts.guided(weight, first)[0] for first in (True, False))
        ends = prompts.clean, exact_flow(source, prompts.clean, grid.nodes[0], grid.nodes[-1], 200)
        for method, (go, back, down) in _methods(grid, quick).items():

            def asking(dtype: str, weight: float = weight) -> tuple[Any, Counted]:
                return prompts.guided(weight, dtype=dtype)

            row = measured(f"guidance {weight:g}, even log sigma, N 50", method, asking, ends, go, back, down)
            there = go(source, prompts.clean)
            edited = back(target, there)
            row["reached"] = prompts.reached(edited[0] if isinstance(edited, tuple) else edited)
            yield {**row, "gradients": there[1].gradients if method.startswith("null-text") else 0}


def _methods(grid: Any, quick: bool) -> dict[str, tuple[Walker, Walker, Walker]]:
    from dataclasses import replace

    from sfumato.diffusion.ddim import ddim_invert, ddim_sample
    from sfumato.diffusion.null_text import Fitting, null_text_invert, null_text_sample

    def down(f: Any, z: Any) -> Any:
        return ddim_sample(f, grid, z)

    def null_text(fitting: Any) -> tuple[Walker, Walker, Walker]:
        def go(f: Any, x: Any) -> Any:
            found = null_text_invert(f, grid, x, fitting)
            return found.noise, found

        return go, lambda f, there: null_text_sample(f, grid, there[1]), down

    found = vp_methods(grid)
    # the authors' 0.01, for Stable Diffusion's text, is best here by the median; 0.1 by the RMS, of 0.001, 0.01 and 0.1
    rates = (0.1,) if quick else (0.01, 0.1)
    kept = ("DDIM", "DDIM, 5 fixed-point rounds", "EDICT", "O-BELM", "BDIA 1.0", "BDIA 0.96", "BDIA optimal")
    return {
        "DDIM, up without guidance": (lambda f, x: ddim_invert(replace(f, weight=1.0), grid, x), down, down),
        **{f"null-text, rate {rate}": null_text(Fitting(rate=rate)) for rate in rates},
        **{name: found[name] for name in (*kept, "BDIA auto, lattice")},
    }
