"""A tool's parameters as knobs: a class for each kind, their words as tooltips. Knows no Nuke."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Callable

from sfumato_nuke.parts import Knob
from sfumato_plugins.parameters import Choice, ModelFolder, Number, Parameter, Several, Switch, Whole
from sfumato_plugins.tool import Tool


def knob_name(tool: Tool, parameter: Parameter) -> str:
    """matte_quality: the knob of a parameter."""
    return f"{tool.name}_{parameter.name}"


def parameters(tool: Tool, wanted: Callable[[str], bool]) -> Iterator[Knob]:
    """The knobs of every parameter whose group is wanted, a divider before each group."""
    said = ""
    for parameter in tool.parameters:
        if not wanted(parameter.group):
            continue
        if parameter.group != said:
            said = parameter.group
            yield Knob("divider", f"{tool.name}_{said.lower()}_divider", said, f"{said}: parameters of {tool.label}.")
        yield from of_parameter(tool, parameter)


def of_parameter(tool: Tool, parameter: Parameter) -> Iterator[Knob]:
    """The knob, or for several words the knobs, of one parameter."""
    name, help = knob_name(tool, parameter), _sentence(parameter)
    when = (f"{tool.name}_{parameter.when[0]}", parameter.when[1]) if parameter.when else None
    label, value = parameter.label, parameter.default
    if isinstance(parameter, Several):
        for i, word in enumerate(parameter.options):
            about = f"{label}: {word}. {help}"
            yield Knob("switch", f"{name}_{word}", word, about, word in value, same_line=i > 0, when=when)
    elif isinstance(parameter, Choice):
        yield Knob("choice", name, label, help, value, parameter.options, when=when)
    elif isinstance(parameter, Switch):
        yield Knob("switch", name, label, help, value, when=when)
    elif isinstance(parameter, Whole):
        yield Knob("whole", name, label, help, value, when=when)
    elif isinstance(parameter, Number):
        yield Knob("number", name, label, help, float(value), low=parameter.low, high=_sane(parameter), when=when)
    elif isinstance(parameter, ModelFolder):
        yield Knob("file", name, label, help, value, when=when)
    else:
        yield Knob("string", name, label, help, str(value), when=when)


def _sane(number: Number) -> float:
    """Where the slider ends; more may be typed in."""
    return min(number.high, max(10.0 * abs(number.default), 1.0)) if number.high > 10 else number.high


def _sentence(parameter: Parameter) -> str:
    unit = getattr(parameter, "unit", "")
    text = parameter.help[:1].upper() + parameter.help[1:] + (f", in {unit}" if unit else "") + "."
    if not parameter.when:
        return text
    words = " or ".join({True: "on", False: "off"}.get(value, str(value)) for value in parameter.when[1])
    return f"{text} Used while {parameter.when[0].replace('_', ' ')} is {words}."
