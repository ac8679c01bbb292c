"""The methods of placement by name."""

from collections.abc import Callable, Mapping

from sfumato.errors import RequestError
from sfumato.place.director import Director, Plain, Scene
from sfumato.place.precise import Fast, Precise

METHODS: Mapping[str, Callable[[Scene], Director]] = {
    "none": lambda scene: Plain(),
    "fast": Fast,
    "precise": Precise,
}


def begin(method: str, scene: Scene) -> Director:
    """A method at work on a scene.

    Raises:
        RequestError: no such method.
    """
    if method not in METHODS:
        raise RequestError(f"no method of placement is called {method}", f"choose {', '.join(METHODS)}")
    return METHODS[method](scene)
