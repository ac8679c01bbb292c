"""BDIA and its peers on the same grids, networks and latents: VP, flow matching and EDM."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sfumato_plugins.benches.inversion_yard import Row, Walker, Yard, each, first, measured, rms


def _through(walk: Any, way: Any) -> Walker:
    """A walk along one grid or row of times, as a function of predictor and latent."""
    return lambda f, x: walk(f, way, x)


def _bdia(plan: Any) -> tuple[Walker, Walker, Walker]:
    """BDIA's three ways by one plan."""
    from sfumato.diffusion.walk import invert, latent, resample, sample

    def go(predictor: Any, clean: Any) -> Any:
        walk = invert(plan, predictor, clean)
        return latent(plan, walk), walk

    return (
        go,
        lambda predictor, there: latent(plan, resample(plan, predictor, there[1])),
        lambda predictor, noise: latent(plan, sample(plan, predictor, noise)),
    )


def vp_rows(yard: Yard, quick: bool) -> Iterator[Row]:
    from sfumato.diffusion.mixture import reference
    from sfumato.diffusion.schedule import karras_grid, log_grid, spaced_grid

    nodes = yard.table.at(0), yard.table.at(999)
    ends = yard.clean, reference(yard.exact, yard.clean, *nodes)
    grids = {"uniform time": spaced_grid, "even log sigma": log_grid, "Karras": karras_grid}
    for name, make in list(grids.items())[: 2 if quick else 3]:
        for steps in (50,) if quick else (20, 50, 100):
            case = f"VP, {name}, N {steps}"
            grid = make(yard.table, steps)
            yield {"case": case, "method": "exact flow", "std": float(ends[1].std())}
            for method, walkers in vp_methods(grid).items():
                yield measured(case, method, yard.asking("eps"), ends, *walkers)
    grid = spaced_grid(yard.table, 50)
    yield _single(yard, grid, ends)


def vp_methods(grid: Any) -> dict[str, tuple[Walker, Walker, Walker]]:
    from sfumato.diffusion import baselines as peer
    from sfumato.diffusion.bdia import make_plan
    from sfumato.diffusion.ddim import ddim_invert, ddim_sample, started

    def ddim(iterations: int) -> tuple[Walker, Walker, Walker]:
        return lambda f, x: ddim_invert(f, grid, x, iterations), lambda f, z: ddim_sample(f, grid, z), down

    def down(f: Any, z: Any) -> Any:
        return ddim_sample(f, grid, z)

    def obelm(f: Any, z: Any, inverting: bool) -> Any:
        here, there = (grid.nodes[0], grid.nodes[1]) if inverting else (grid.nodes[-1], grid.nodes[-2])
        return peer.obelm_walk(f, grid, z, started(f, z, here, there, None), inverting)[::-1]

    found = {
        "DDIM": ddim(0),
        "DDIM, 5 fixed-point rounds": ddim(5),
        "EDICT": (
            lambda f, x: peer.edict_invert(f, grid, (x, x)),
            lambda f, pair: peer.edict_sample(f, grid, pair),
            lambda f, z: peer.edict_sample(f, grid, (z, z)),
        ),
        "O-BELM": (
            lambda f, x: obelm(f, x, True),
            lambda f, pair: peer.obelm_walk(f, grid, pair[0], pair[1], False)[::-1],
            lambda f, z: obelm(f, z, False),
        ),
    }
    for gamma in (1.0, 0.96, "optimal"):
        for start in ("euler", "heun") if gamma == 1 else ("heun",):
            plan = make_plan(grid, gamma, level=None, start=start, anyway=True)
            found[f"BDIA {gamma}{', plain start' if start == 'euler' else ''}"] = _bdia(plan)
    found["BDIA auto, lattice"] = _bdia(make_plan(grid, "auto"))
    return found


def _single(yard: Yard, grid: Any, ends: Any) -> Row:
    """What going back from one latent costs: why the pair must travel."""
    from sfumato.diffusion.bdia import make_plan

    go, _, down = _bdia(make_plan(grid, 1.0, level=None))
    mixture = yard.mixture()
    again = down(mixture, go(mixture, ends[0])[0])
    return {"case": "VP, uniform time, N 50", "method": "BDIA 1.0, second latent lost", "trip": rms(again, ends[0])}


def draw_rows(yard: Yard, quick: bool) -> Iterator[Row]:
    """The same on other mixtures: a latent in forty lies between two components and outweighs all others in an RMS."""
    import torch

    from sfumato.diffusion.mixture import reference
    from sfumato.diffusion.schedule import log_grid

    grid, draws = log_grid(yard.table, 50), 2 if quick else 6
    errors: dict[str, list[tuple[Any, Any]]] = {}
    for seed in range(1, draws + 1):
        other = Yard(seed, yard.size, yard.count)
        noise = reference(other.exact, other.clean, grid.nodes[0], grid.nodes[-1], 200)
        for method, (go, _, down) in vp_methods(grid).items():
            if method in ("DDIM", "O-BELM", "BDIA 1.0", "BDIA 0.96", "BDIA optimal"):
                found = first(go(other.mixture(), other.clean)), first(down(other.mixture(), noise))
                errors.setdefault(method, []).append((each(found[0], noise), each(found[1], other.clean)))
    for method, pairs in errors.items():
        row: Row = {"case": f"{draws} more mixtures, even log sigma, N 50", "method": method}
        for name, parts in zip(("latent", "sample"), zip(*pairs)):
            row[f"{name}_median"] = float(torch.cat(parts).median())
            overall = sorted(float(p.square().mean().sqrt()) for p in parts)
            row |= {f"{name}_rms_best": overall[0], f"{name}_rms_worst": overall[-1]}
        yield row


def flow_rows(yard: Yard, quick: bool) -> Iterator[Row]:
    from sfumato.diffusion.baselines import fireflow_walk, midpoint_walk
    from sfumato.diffusion.bdia import make_plan
    from sfumato.diffusion.ddim import ddim_invert, ddim_sample
    from sfumato.diffusion.schedule import flow_grid, logit_grid
    from sfumato.diffusion.walk import sample, smoothed

    mixture = yard.mixture("flow")
    ends = _flow_truth(mixture, yard.pure, 500 if quick else 2000), yard.pure
    grids: dict[str, Any] = {"even logit": logit_grid, "even": flow_grid, "shift 3": lambda n: flow_grid(n, 3.0)}
    for name, make in list(grids.items())[: 1 if quick else 3]:
        for steps in (28,) if quick else (28, 50):
            case, grid = f"flow, {name}, N {steps}", make(steps)
            up = [n.time for n in grid.nodes]
            euler: Any = _through(ddim_sample, grid)
            yield measured(case, "Euler", yard.asking("flow"), ends, _through(ddim_invert, grid), euler, euler)
            for method, walk in (("midpoint", midpoint_walk), ("FireFlow-like", fireflow_walk)):
                back = _through(walk, up[::-1])
                yield measured(case, method, yard.asking("flow"), ends, _through(walk, up), back, back)
            plan = make_plan(grid, 1.0, level=None)
            row = measured(case, "BDIA 1.0", yard.asking("flow"), ends, *_bdia(plan))
            yield {**row, "smoothed": rms(smoothed(plan, mixture, sample(plan, mixture, yard.pure)), ends[0])}


def _flow_truth(mixture: Any, noise: Any, steps: int) -> Any:
    """Where the exact flow takes noise: RK4 from t = 1 to 0."""
    from sfumato.diffusion.schedule import Node

    def slope(x: Any, t: float) -> Any:
        return mixture(x, Node(t, 1 - t, t))

    z, h = noise, -1 / steps
    for i in range(steps):
        t = 1 + i * h
        k1 = slope(z, t)
        k2 = slope(z + h / 2 * k1, t + h / 2)
        k3 = slope(z + h / 2 * k2, t + h / 2)
        k4 = slope(z + h * k3, max(t + h, 0.0))
        z = z + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    return z


def edm_rows(yard: Yard, quick: bool) -> Iterator[Row]:
    from sfumato.diffusion.bdia import make_plan
    from sfumato.diffusion.ddim import ddim_invert, ddim_sample, heun_increment
    from sfumato.diffusion.mixture import reference
    from sfumato.diffusion.schedule import edm_grid

    def heun(grid: Any) -> Walker:
        def walk(f: Any, z: Any) -> Any:
            for here, there in zip(grid[:-1], grid[1:]):
                z = z + heun_increment(z, f(z, here), f, here, there)
            return z

        return walk

    for steps in (18,) if quick else (18, 36):
        grid = edm_grid(steps)
        case, nodes = f"EDM, N {steps}", (grid.nodes[0], grid.nodes[-1])
        clean = yard.exact.sample(yard.count, nodes[0], yard.generator)
        # The latents are 80 in size; what is compared is in units of the noise.
        ends = clean, reference(yard.exact, clean, *nodes, 400)
        methods = {
            "Euler": (_through(ddim_invert, grid), *(_through(ddim_sample, grid),) * 2),
            "Heun (EDM)": (heun(grid.nodes), *(heun(grid.nodes[::-1]),) * 2),
            "BDIA-EDM optimal": _bdia(make_plan(grid, "optimal", level=None, anyway=True)),
            "BDIA-EDM optimal, Heun both ways": _bdia(
                make_plan(grid, "optimal", level=None, anyway=True, down="heun", up="heun")
            ),
            "BDIA-EDM 0.5, Heun down (too low to invert)": _bdia(
                make_plan(grid, 0.5, level=None, anyway=True, down="heun")
            ),
        }
        for method, walkers in methods.items():
            row = measured(case, method, yard.asking("x0"), ends, *walkers)
            yield {**row, "latent": row["latent"] / 80, "std": row["std"] / 80}
