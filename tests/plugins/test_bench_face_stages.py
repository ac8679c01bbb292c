"""What the face bench says each stage buys, from measured rows."""

import math

from sfumato_plugins.benches.face_methods import CLIP, DRIFT, GRAPH, JAW, LIVE, OFFSETS, OURS, PLAIN, POSITIONS, TUNED
from sfumato_plugins.benches.face_stages import against, as_text, bought


def rows(case, method, *mesh):
    return [{"case": case, "method": method, "seed": seed, "mesh": value} for seed, value in enumerate(mesh)]


MILLER = [
    *rows("Miller, raw", PLAIN, 1.0, 4.0),
    *rows("Miller, raw", DRIFT, 0.9, 3.0),
    *rows("Miller, raw", CLIP, 0.5, 1.0),
    *rows("Miller, raw", OURS, 0.4, 1.2),
    *rows("Miller, raw", POSITIONS, 2.0, 2.0),
    *rows("Miller, raw", GRAPH, 1.0, 1.0),
    *rows("Miller, raw", JAW, 0.5, 0.5),
    *rows("Miller, raw", LIVE, 0.6, 0.6),
    *rows("Miller, raw", TUNED, 0.3, 1.1),
]
ACTOR = [
    *rows("FACEGOOD 1, raw", OFFSETS, 0.5),
    *rows("FACEGOOD 1, raw", f"{JAW}, 60 %", 0.1),
    *rows("FACEGOOD 1, raw", f"{LIVE}, 60 %", 0.2),
    *rows("FACEGOOD 1, raw", f"{LIVE}, other actor", 0.8),
]


def test_a_stage_is_held_against_the_one_before_by_geometric_means_over_seeds():
    found = {row["stage"]: row for row in bought(MILLER)}
    assert found[PLAIN]["mesh"] == 2.0
    assert found[PLAIN]["over"] is None
    assert math.isclose(found[CLIP]["over"], math.sqrt(0.5 * 0.25))
    assert math.isclose(found[GRAPH]["over"], 0.5)
    assert math.isclose(found[TUNED]["over"], math.sqrt(0.6 * 2.2))


def test_the_staged_path_has_to_win_on_every_seed_against_the_best_that_looks_as_far_ahead():
    live, takes = against(MILLER)
    assert (live["look"], live["classical"], live["won"]) == ("live", DRIFT, True)
    assert (takes["look"], takes["classical"], takes["won"]) == ("whole takes", OURS, False)
    assert math.isclose(takes["worst"], 1.1)


def test_each_training_stands_beside_the_same_classical_rows():
    found = {row["trained"]: row for row in against(ACTOR)}
    assert found["60 %"]["won"]
    assert not found["other actor"]["won"]
    assert math.isclose(found["other actor"]["over"], 1.6)


def test_the_text_says_where_the_learned_path_does_not_win():
    assert as_text([*MILLER, *ACTOR]).endswith(
        "does not beat the best classical one on: Miller, raw (whole takes); FACEGOOD 1, raw (live, other actor)."
    )
    assert as_text(rows("Miller, raw", PLAIN, 1.0)).endswith("nothing here.")
