"""An edit laid out for people: one PNG with what went in, what came out, and the numbers of the trip."""

from __future__ import annotations

from torch import Tensor

from sfumato.diffusion.edit import Edit
from sfumato.matte.pictures import Show, grey, reduce_to
from sfumato.matte.sheet import INK, QUIET, Words, burnt, contact_sheet, encoded, paper
from sfumato.plate import Plate

WIDE = 480  # pixels of a tile
GAIN = 10.0  # of differences, display-referred


def edit_sheet(edit: Edit, plate: Plate, show: Show, burn: str) -> bytes:
    """A contact sheet as PNG: plate, edit and their difference; what the model saw and made of it; mask and numbers.

    Args:
        edit: What `edit_plate` gave for the plate.
        plate: As it was given.
        show: (3, H, W) of the plate's values -> display-coded 0..1, through the show's view.
        burn: The line on top: shot, version, frame, tool.
    """
    return encoded(contact_sheet(tiles(edit, plate, show), burn, 3, WIDE))


def tiles(edit: Edit, plate: Plate, show: Show) -> list[tuple[str, Tensor]]:
    """Labels and pictures of the sheet, (3, h, w) display-coded 0..1."""
    before, after = (show(_small(x)) for x in (plate.rgb(), edit.pixels))
    mask = grey(reduce_to(edit.mask.float(), 2 * WIDE))
    seen = f"{edit.plate.shape[2]} x {edit.plate.shape[1]}"
    shape = (round(WIDE * before.shape[1] / before.shape[2]), WIDE)
    return [
        ("plate", before),
        ("edited plate", after),
        (f"difference x{GAIN:g}", _apart(before, after)),
        (f"the plate as the model sees it, {seen}", edit.plate),
        ("reconstruction", edit.recon),
        ("edit", edit.edit),
        (f"edit less reconstruction x{GAIN:g}", _apart(edit.recon, edit.edit)),
        ("mask", mask),
        ("", _written(facts(edit), shape)),
    ]


def facts(edit: Edit) -> list[tuple[str, str]]:
    """What an edit took and how exact its trip was, in words for people: a name and what there is to say."""
    calls, noise, seconds = edit.calls, edit.latents, edit.seconds
    exact = edit.recon_digest == edit.replay_digest
    changed = float((edit.delta != 0).any(0).float().mean())
    return [
        ("round trip", "exact to the bit" if exact else "not exact"),
        ("reconstruction", f"{edit.recon_digest[:12]}, replayed {edit.replay_digest[:12]}"),
        ("changed", f"{100 * changed:.2f} % of the plate; every other bit is its own"),
        ("network calls", f"{sum(calls.values())}: {', '.join(f'{name} {count}' for name, count in calls.items())}"),
        ("noise reached", f"after {noise['node']:g} steps, at time {noise['time']:.4g}"),
        ("its deviation", f"{noise['deviation']:.3f}, mean {noise['mean']:+.3f}"),
        ("its shape", f"excess kurtosis {noise['kurtosis']:+.2f}, neighbours {noise['neighbours']:+.3f}"),
        ("seconds", ", ".join(f"{name} {value:.1f}" for name, value in seconds.items())),
    ]


def _small(pixels: Tensor) -> Tensor:
    return reduce_to(pixels.nan_to_num(0.0, 0.0, 0.0), 2 * WIDE)


def _apart(one: Tensor, other: Tensor) -> Tensor:
    return (GAIN * (one - other).abs()).clamp(0, 1)


def _written(facts: list[tuple[str, str]], shape: tuple[int, int]) -> Tensor:
    """Facts as text on paper, as large as fits."""
    line = max(8, min(24, shape[0] // (len(facts) + 1)))
    size = min(15, round(0.62 * line))
    words = [Words(10, line * (i + 1), name, size, QUIET) for i, (name, _) in enumerate(facts)]
    words += [Words(10 + 8 * size, line * (i + 1), text, size, INK) for i, (_, text) in enumerate(facts)]
    return burnt(paper(shape[1], shape[0]), words)
