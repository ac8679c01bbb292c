"""The fake Nuke's scripts: its graph as Nuke's text, and back through the real parser of such text."""

import re

from parsers import nk

from .nuke_knobs import FLAGS, NUMBERS

PLAIN = re.compile(r"[\w./:#%+-]+")


def quoted(value):
    text = str(value)
    return text if PLAIN.fullmatch(text) else '"' + re.sub(r'([\\"\[$\]{}])', r"\\\1", text).replace("\n", "\\n") + '"'


def written(root):
    return "version 15.1 v1\n" + "".join(f"{line}\n" for line in _nodes(root))


def _nodes(group):
    done = []

    def visit(node):
        if node in done:
            return
        for above in node._wires.values():
            if above in group._nodes:
                visit(above)
        done.append(node)

    for node in group._nodes:
        visit(node)
    for node in done:
        for number in reversed(range(node.inputs())):
            above = node.input(number)
            yield f"push $N{id(above)}" if above is not None else "push 0"
        yield f"{node._kind} {{"
        yield f" inputs {node.inputs()}"
        yield from (f" {line}" for line in _knobs(node))
        yield "}"
        if node._kind == "Group":
            yield from _nodes(node)
            yield "end_group"
        yield f"set N{id(node)} [stack 0]"


def _knobs(node):
    for name, knob in node._knobs.items():
        if name in node._user:
            yield _definition(knob)
        if knob.getFlag(FLAGS["DO_NOT_WRITE"]) or knob._kind in ("Tab_Knob", "Text_Knob", "PyScript_Knob"):
            continue
        if knob._expression is not None:
            yield f"{name} {{{{{quoted(knob._expression)}}}}}"
        elif knob._value != knob._default or name == "name":
            yield f"{name} {_value(knob._value)}"


def _value(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return "{" + " ".join(f"{v:g}" for v in value) + "}"
    return f"{value:g}" if isinstance(value, float) else quoted(value)


def _definition(knob):
    words = [str(NUMBERS[knob._kind]), knob._name, "l", quoted(knob._label), "t", quoted(knob._tooltip)]
    words += ["+INVISIBLE"] if knob.getFlag(FLAGS["INVISIBLE"]) else []
    words += [f"M {{{' '.join(map(quoted, knob._items))}}}"] if knob._items else []
    words += [f"R {knob._range[0]:g} {knob._range[1]:g}"] if knob._range else []
    if knob._kind in ("PyScript_Knob", "Text_Knob"):
        words += ["T", quoted(knob._value if not knob.getFlag(FLAGS["DO_NOT_WRITE"]) else " ")]
    return "addUserKnob {" + " ".join(words) + "}"


def read(session, text):
    """Make what a text says in the session's open group; gives the outermost nodes."""
    made = {}
    return [_made(session, parsed, made) for parsed in nk.parse(text)]


def _made(session, parsed, made):
    node = session._constructor(parsed.kind)()
    made[id(parsed)] = node
    for user in parsed.user:
        node.addKnob(_knob(session, user))
    for name, value in parsed.knobs.items():
        if name not in ("inputs", "name"):
            _set(node[name], value)
    node.setName(parsed.knobs.get("name", node.name()))
    if parsed.nodes:
        with node:
            for inner in parsed.nodes:
                _made(session, inner, made)
    for number, above in enumerate(parsed.inputs):
        if above is not None:
            assert node.setInput(number, made[id(above)]), f"{parsed.name} takes no input {number}"
    return node


def _knob(session, user):
    kind = {number: name for name, number in NUMBERS.items()}[user.number]
    cls = getattr(session.module, kind)
    knob = cls(user.name, user.label, list(user.items)) if user.items else cls(user.name, user.label)
    knob.setTooltip(user.tooltip)
    if user.range:
        knob.setRange(*user.range)
    if user.text:
        knob._value = user.text
    for flag in user.flags:
        if flag[1:] in FLAGS and flag[0] == "+":
            knob.setFlag(FLAGS[flag[1:]])
    return knob


def _set(knob, text):
    expression = re.fullmatch(r"\{(.*)\}", text, re.DOTALL)
    if expression:
        import tkinter

        return knob.setExpression(tkinter.Tcl().splitlist(expression[1])[0])
    first = knob._default
    if isinstance(first, bool):
        return knob.setValue({"true": True, "false": False}[text])
    if isinstance(first, tuple):
        return knob.setValue(tuple(float(word) for word in text.split()))
    if isinstance(first, float) and knob._items is None:
        return knob.setValue(float(text))
    return knob.setValue(int(text, 0) if isinstance(first, int) else text)
