"""What an artist does with placements beyond a single one: verified renders, and stories."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sfumato_plugins.benches.place_cases import boxes, cases, said, things
from sfumato_plugins.benches.place_measure import PLACED

if TYPE_CHECKING:
    from sfumato.models.model import Model
    from sfumato.place.calibration import Calibration

Row = dict[str, Any]
ASKED, TRIES = 0.6, 3  # IoU of the worst object; renders at most
PANELS = 4
BATCH = 15


def verified(model: Model, calibration: Calibration, count: int, steps: int) -> Row:
    """Stills of one to three objects until each reaches an IoU; `met` is the share that does, `first` at once."""
    from sfumato.place.detect import measure
    from sfumato.place.render import place_many
    from sfumato.place.request import Request
    from sfumato.place.verified import again, kept_boxes, worst_iou

    drawn = [case for objects in (1, 2, 3) for case in cases(-(-count // 3), objects, 1000)][:count]
    waiting = [(Request(case.staging(), seed=case.seed, steps=steps, strength=1.0),) * 2 for case in drawn]
    reached = []
    for number in range(1, TRIES + 1):
        missed = []
        for first in range(0, len(waiting), BATCH):
            batch = waiting[first : first + BATCH]
            made = place_many(model, [now for _, now in batch], calibration=calibration, measure=measure)
            for (asked, now), one in zip(batch, made):
                found = kept_boxes(one, asked)
                if worst_iou(found) < ASKED:
                    missed.append((asked, again(asked, now, found, number)))
        reached.append(1 - len(missed) / count)
        waiting = missed
    return {
        "case": f"verified, IoU {ASKED} of the worst of one to three objects",
        "method": f"precise, {TRIES} tries",
        "pictures": count,
        "first": reached[0],
        "second": reached[1],
        "met": reached[-1],
    }


def stories(model: Model, calibration: Calibration, count: int, steps: int) -> Row:
    """Stories of two subjects over panels with one seed: how often a subject is the same in all, and well placed."""
    from sfumato.place.detect import match, see
    from sfumato.place.render import place_many
    from sfumato.place.request import Request

    rng, same, ious = random.Random("story"), [], []
    for _ in range(count):
        phrases, ground = things(2, rng)
        requests: list[Request] = []
        for panel in range(PANELS):
            here = phrases if panel else phrases[:1]  # the second comes in later
            case = replace(cases(1, 1, panel)[0], prompt=said(here, ground), phrases=here, boxes=boxes(len(here), rng))
            requests.append(
                Request(
                    case.staging(),
                    seed=rng.getrandbits(31) if not panel else requests[0].seed,
                    steps=steps,
                    strength=1.0,
                )
            )
        made = place_many(model, requests, calibration=calibration)
        found = [match(see(one.pictures[0]), [s.name for s in r.staging.subjects]) for one, r in zip(made, requests)]
        for number in range(2):
            seen = [row[number] for row in found if number < len(row)]
            looks = [(thing.colour, thing.shape) for thing in seen if thing]
            same.append(len(looks) == len(seen) and len(set(looks)) == 1)
        ious += [iou for one, row in zip(made, found) for iou in _ious(one.asked[0], row)]
    return {
        "case": f"story of {PANELS} panels",
        "method": "precise, one seed",
        "subjects": len(same),
        "met": sum(same) / len(same),
        "placed": sum(iou >= PLACED for iou in ious) / len(ious),
    }


def _ious(asked: Any, found: Any) -> list[float]:
    return [box.iou(thing.box) if thing else 0.0 for box, thing in zip(asked, found)]
