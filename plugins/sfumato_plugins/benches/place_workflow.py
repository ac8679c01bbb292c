"""What an artist does with placements beyond a single one: verified renders, and stories."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sfumato_plugins.benches.place_cases import boxes, cases, said, things
from sfumato_plugins.benches.place_measure import PLACED

if TYPE_CHECKING:
    from sfumato.models.model import Model
    from sfumato.place.calibration import Calibration
    from sfumato.place.request import Request
    from sfumato.place.verified import Verified

Row = dict[str, Any]
ASKED, TRIES = 0.6, 3  # IoU of the worst object; renders at most
PANELS = 4
BATCH = 15


def verified(model: Model, calibration: Calibration, count: int, steps: int) -> Row:
    """Stills of one to three objects, tried until they are as asked; `met` is the share that is, `first` at once."""
    from sfumato.place.request import Request

    drawn = [case for objects in (1, 2, 3) for case in cases(-(-count // 3), objects, 1000)][:count]
    asked = [Request(case.staging(), seed=case.seed, steps=steps, strength=1.0) for case in drawn]
    met = [len(one.tries) if one.met else TRIES + 1 for one in _tried(model, calibration, asked)]
    reached = [sum(tries <= last for tries in met) / count for last in range(1, TRIES + 1)]
    return {
        "case": f"verified, IoU {ASKED} of the worst of one to three objects, all as said",
        "method": f"precise, {TRIES} tries",
        "pictures": count,
        "first": reached[0],
        "second": reached[1],
        "met": reached[-1],
    }


def stories(model: Model, calibration: Calibration, count: int, steps: int) -> Row:
    """Stories of two subjects over panels with one seed, each panel verified: how often a subject's colour and shape
    are the same in all, `first` at once, and how many are well placed."""
    from sfumato.place.request import Request

    rng, requests = random.Random("story"), []
    for _ in range(count):
        phrases, ground = things(2, rng)
        seed = 0
        for panel in range(PANELS):
            here = phrases if panel else phrases[:1]  # the second comes in later
            case = replace(cases(1, 1, panel)[0], prompt=said(here, ground), phrases=here, boxes=boxes(len(here), rng))
            seed = seed if panel else rng.getrandbits(31)
            requests.append(Request(case.staging(), seed=seed, steps=steps, strength=1.0))
    tried = _tried(model, calibration, requests)
    told = [told for first in range(0, len(tried), PANELS) for told in _told(tried[first : first + PANELS])]
    ious = [iou for one in tried for iou in one.rendered.ious()[0] if iou is not None]
    return {
        "case": f"story of {PANELS} panels",
        "method": f"precise, one seed, {TRIES} tries a panel",
        "subjects": len(told),
        "first": sum(first for first, _ in told) / len(told),
        "met": sum(last for _, last in told) / len(told),
        "placed": sum(iou >= PLACED for iou in ious) / len(ious),
    }


def _tried(model: Model, calibration: Calibration, requests: Sequence[Request]) -> list[Verified]:
    """Each request verified, many in the network's same calls."""
    from sfumato.place.detect import looks, measure
    from sfumato.place.render import place_many
    from sfumato.place.verified import Tries

    made = [Tries(request, ASKED, TRIES, looks) for request in requests]
    while waiting := [(one, one.next) for one in made if one.next]:
        for first in range(0, len(waiting), BATCH):
            batch = waiting[first : first + BATCH]
            rendered = place_many(model, [now for _, now in batch], calibration=calibration, measure=measure)
            for (one, _), picture in zip(batch, rendered):
                one.take(picture)
    return [one.best() for one in made]


def _told(panels: Sequence[Verified]) -> list[tuple[bool, bool]]:
    """For each subject of a story: whether it looks as said in all panels at once, and whether it looks alike in all
    in the end."""
    from sfumato.place.detect import match, see

    names = [[subject.name for subject in panel.request.staging.subjects] for panel in panels]
    found = [match(see(panel.rendered.pictures[0]), those) for panel, those in zip(panels, names)]
    told = []
    for name in names[-1]:
        seen = [row[those.index(name)] for row, those in zip(found, names) if name in those]
        looks = [(thing.colour, thing.shape) for thing in seen if thing]
        firsts = [panel.tries[0] for panel, those in zip(panels, names) if name in those]
        at_once = all(one.iou and name not in one.unlike for one in firsts)
        told.append((at_once, len(looks) == len(seen) and len(set(looks)) == 1))
    return told
