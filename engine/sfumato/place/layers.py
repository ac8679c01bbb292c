"""Which attentions of a model tell where things are: what `Calibration.shows` is chosen by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor

from sfumato.errors import RequestError
from sfumato.place.box import WINDOW
from sfumato.place.cast import make_cast
from sfumato.place.hooks import Steer, directed
from sfumato.place.masks import coverage
from sfumato.place.render import Measure, place
from sfumato.place.request import Request
from sfumato.place.sites import Site, Space
from sfumato.place.staging import one_still
from sfumato.place.window import log_snr

if TYPE_CHECKING:
    from sfumato.models.model import Model

LEVEL = 3.0  # log-SNR at which things have found their places


class _Noting(Steer):
    """Keeps the maps of some words, attention by attention."""

    def __init__(self, spans: Tensor) -> None:
        self.spans, self.found = spans, dict[str, tuple[Site, Tensor]]()

    def wants(self, site: Site) -> Literal["scores", "maps"] | None:
        return "maps" if site.kind in ("cross", "joint") else None

    def see(self, site: Site, shown: Tensor) -> None:
        self.found[site.name] = site, (shown.mean(2)[0, 0] * self.spans).sum(-1)


def telling(
    model: Model, stills: Sequence[tuple[str, str]], measure: Measure, steps: int = 24, seed: int = 0
) -> Mapping[str, float]:
    """How well each attention's map of an object's words tells where the object is.

    Unplaced stills are rendered and measured; each is brought back to a noise level at which things have their places,
    and shown to the network once more.

    Args:
        model: Of stills.
        stills: Prompts, and the phrase of an object in each.
        measure: Finds objects in finished pictures.
        steps, seed: Of the first still; others have the next seeds.

    Returns:
        For each attention's name the correlation, over all places and stills, of its map over its highest value with
        the part of each place that the object's box covers; highest first.

    Raises:
        RequestError: no object was found in any still; a model of clips.
    """
    if model.frames != 1:
        raise RequestError(f"{model.name} makes clips", "measure the model of stills that it was made from")
    pairs: dict[str, list[tuple[Tensor, Tensor]]] = {}
    for number, (prompt, phrase) in enumerate(stills):
        request = Request(one_still(prompt, [(phrase, WINDOW)]), method="none", steps=steps, seed=seed + number)
        rendered = place(model, request, measure=measure)
        box = rendered.found[0][0]
        if box is None:
            continue
        for site, shown in _shown(model, request, rendered.latent, seed + number).values():
            covered = coverage(box, site.height, site.width).flatten()
            pairs.setdefault(site.name, []).append((shown / shown.max(), covered.to(shown.device)))
    if not pairs:
        raise RequestError("no object was found in any of the stills", "give prompts of things the detector knows")
    found = {name: _correlation(some) for name, some in pairs.items()}
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def _shown(model: Model, request: Request, latent: Tensor, seed: int) -> dict[str, tuple[Site, Tensor]]:
    grid = model.grid(request.steps)
    node = min(grid.nodes[1:], key=lambda node: abs(log_snr(node) - LEVEL))
    noise = torch.randn(latent.shape, generator=torch.Generator().manual_seed(seed)).to(latent.device)
    prompt = request.staging.prompts[0][1]
    context = model.embedder([prompt])
    size = 1, latent.shape[-2], latent.shape[-1]
    slots = context.tokens.shape[1]
    noting = _Noting(make_cast(request.staging, 1, 1, model.tokens, size).spans(slots)[0, 0].to(latent.device))
    with torch.no_grad(), directed(model.network, Space(*size, slots), [True], noting):
        model.denoiser(node.alpha * latent + node.sigma * noise, node, context)
    return noting.found


def _correlation(pairs: Sequence[tuple[Tensor, Tensor]]) -> float:
    return float(torch.corrcoef(torch.stack([torch.cat(side) for side in zip(*pairs, strict=True)]))[0, 1])
