"""Where inversions are measured: a mixture of Gaussians, and one way of asking every method the same questions."""

from __future__ import annotations

from typing import Any, Callable

Row = dict[str, Any]
Walker = Callable[[Any, Any], Any]  # (predictor, latents) -> latents, or a tuple whose first they are
Asking = Callable[[str], "tuple[Any, Counted]"]


class Yard:
    """The mixture, and what every table measures with."""

    def __init__(self, seed: int, size: int, count: int) -> None:
        import torch

        from sfumato.device import seeded
        from sfumato.diffusion.lattice import LEVEL, from_lattice, to_lattice
        from sfumato.diffusion.mixture import stiff_mixture
        from sfumato.diffusion.schedule import scaled_linear

        self.generator, self.size, self.count = seeded(seed, "inversion"), size, count
        self.table = scaled_linear()
        self.exact = stiff_mixture(size, self.generator)
        clean = self.exact.sample(count, self.table.at(0), self.generator)
        self.clean = from_lattice(to_lattice(clean, LEVEL), LEVEL).double()  # exact in float32, float64 and integers
        self.pure = torch.randn(count, size, generator=self.generator, dtype=torch.float64)

    def mixture(self, prediction: str = "eps", dtype: str = "float64", rounded: str | None = None) -> Any:
        import torch

        from sfumato.diffusion.mixture import Mixture

        means, stds = (x.to(getattr(torch, dtype)) for x in (self.exact.means, self.exact.stds))
        return Mixture(means, stds, prediction, getattr(torch, rounded) if rounded else None)  # type: ignore[arg-type]

    def asking(self, prediction: str) -> Asking:
        """The mixture, counted, for `measured`."""

        def make(dtype: str) -> tuple[Any, Counted]:
            counted = Counted(self.mixture(prediction, dtype))
            return counted, counted

        return make


def rms(a: Any, b: Any) -> float:
    return float((a - b).double().square().mean().sqrt())


def each(a: Any, b: Any) -> Any:
    """RMS of every latent by itself, (B,)."""
    return (a - b).double().square().mean(1).sqrt()


def measured(case: str, method: str, asking: Asking, ends: Any, go: Walker, back: Walker, down: Walker) -> Row:
    """One method: `go` inverts, `back` returns from what `go` gave, `down` samples from noise alone.

    Each gives a latent, or a tuple whose first is the latent.

    asking: Makes, in "float64" or "float32", a predictor and the `Counted` in it.
    ends: Clean latents, and the noise that they belong to.
    """
    clean, noise = ends
    (large, counted), (small, _) = asking("float64"), asking("float32")
    there = go(large, clean)
    calls = counted.calls
    home = first(back(large, there))
    row = {"case": case, "method": method, "trip": rms(home, clean)}
    again = first(back(small, go(small, clean.float())))
    row |= {"trip_median": float(each(home, clean).median()), "trip_f32": float((again - clean.float()).abs().amax())}
    latents = first(there)
    row |= {"latent": rms(latents, noise), "std": float(latents.std())}
    return {**row, "sample": rms(first(down(large, noise)), clean), "calls": calls}


def first(found: Any) -> Any:
    return found[0] if isinstance(found, tuple) else found


class Counted:
    """A predictor or denoiser that counts its calls."""

    def __init__(self, predictor: Any) -> None:
        self.predictor, self.calls, self.prediction = predictor, 0, predictor.prediction

    def __call__(self, latent: Any, node: Any, *context: Any) -> Any:
        self.calls += 1
        return self.predictor(latent, node, *context)
