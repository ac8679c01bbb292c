"""Nuke's expressions as far as our nodes use them: ?:, logic, comparison, arithmetic, parent.knob, [exists ...], max.

Values may be numbers or arrays: `where` says how a condition chooses. Anything else in a text is a ValueError, so that
an expression nobody has tried on this reader cannot pass.
"""

import re

TOKEN = re.compile(
    r"\s*(?:(?P<number>\d+\.?\d*|\.\d+)|(?P<tcl>\[[^\]]*\])|(?P<name>\$?[A-Za-z_][\w.]*)"
    r"|(?P<op>\|\||&&|==|!=|<=|>=|[-+*/<>!?:(),]))"
)
LEVELS = [("||",), ("&&",), ("==", "!="), ("<", "<=", ">", ">="), ("+", "-"), ("*", "/")]
DO = {
    "||": lambda a, b: truth(a) | truth(b),
    "&&": lambda a, b: truth(a) & truth(b),
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
}


def truth(value):
    return value != 0


def tokens(text):
    at, found = 0, []
    text = text.strip()
    while at < len(text):
        match = TOKEN.match(text, at)
        if not match:
            raise ValueError(f"cannot read {text[at:]!r} in {text!r}")
        found.append((match.lastgroup, match[match.lastgroup]))
        at = match.end()
    return found


class Reader:
    """One text, read left to right."""

    def __init__(self, text, names, where, functions):
        self.left, self.text = tokens(text), text
        self.names, self.where, self.functions = names, where, functions

    def all(self):
        value = self.choice()
        if self.left:
            raise ValueError(f"{self.left[0][1]!r} is too much in {self.text!r}")
        return value

    def at(self, *words):
        return bool(self.left) and self.left[0][0] == "op" and self.left[0][1] in words

    def take(self, word=None):
        if not self.left or (word is not None and self.left[0][1] != word):
            raise ValueError(f"{word or 'a value'} is missing in {self.text!r}")
        return self.left.pop(0)

    def choice(self):
        condition = self.binary(0)
        if not self.at("?"):
            return condition
        self.take("?")
        yes = self.choice()
        self.take(":")
        return self.where(truth(condition), yes, self.choice())

    def binary(self, level):
        if level == len(LEVELS):
            return self.unary()
        value = self.binary(level + 1)
        while self.at(*LEVELS[level]):
            word = self.take()[1]
            value = DO[word](value, self.binary(level + 1))
        return value

    def unary(self):
        if self.at("!"):
            self.take()
            return truth(self.unary()) == 0
        if self.at("-"):
            self.take()
            return 0 - self.unary()
        return self.atom()

    def atom(self):
        kind, word = self.take()
        if kind == "number":
            return float(word)
        if kind == "op" and word == "(":
            value = self.choice()
            self.take(")")
            return value
        if kind == "name" and self.at("("):
            return self.call(word)
        if kind in ("name", "tcl"):
            return self.names(word)
        raise ValueError(f"{word!r} is not a value in {self.text!r}")

    def call(self, name):
        if name not in self.functions:
            raise ValueError(f"no function {name} in {self.text!r}")
        self.take("(")
        given = [self.choice()]
        while self.at(","):
            self.take()
            given.append(self.choice())
        self.take(")")
        return self.functions[name](*given)


def evaluate(text, names, where=lambda c, a, b: a if c else b, functions=None):
    """The value of an expression. names: called with each name or [tcl]; where, functions: for arrays."""
    return Reader(text, names, where, functions or {"max": max, "min": min, "abs": abs}).all()
