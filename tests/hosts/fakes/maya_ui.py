"""Windows, menus and shelves of the fake Maya: elements by name, and a hand that presses them."""

LAYOUTS = {"window", "scrollLayout", "columnLayout", "rowLayout", "frameLayout", "menu", "shelfLayout"}
CONTROLS = {
    "text": "label", "textFieldGrp": "text", "textFieldButtonGrp": "text", "intFieldGrp": "value1",
    "floatFieldGrp": "value1", "intSliderGrp": "value", "floatSliderGrp": "value", "optionMenuGrp": "value",
    "checkBox": "value", "checkBoxGrp": "value1", "button": "label", "progressBar": "progress",
    "textScrollList": "items", "menuItem": "label", "shelfButton": "label",
}  # fmt: skip
EMPTY = {"text": "", "value": None, "value1": 0, "progress": 0, "enable": True, "label": "", "visible": False}


class Element:
    """One element: its flags are what it was made and edited with."""

    def __init__(self, kind, path, parent, flags):
        self.kind, self.path, self.parent, self.flags, self.items, self.chosen = kind, path, parent, flags, [], []

    @property
    def name(self):
        return self.path.rpartition("|")[2]


class Interface:
    """All elements of the session."""

    def __init__(self):
        self.elements, self.current, self.answers, self.dialogs = {}, "", [], []
        for path in ("MayaWindow", "MayaWindow|Shelves"):
            self.elements[path] = Element("window", path, "", {})

    def behaviours(self):
        made = {kind: self.maker(kind) for kind in (*LAYOUTS, *CONTROLS)}
        extra = ("setParent", "showWindow", "deleteUI", "fileDialog2", "confirmDialog", "channelBox")
        return {**made, **{name: getattr(self, name) for name in extra}}

    def find(self, name):
        found = [e for path, e in self.elements.items() if path == name or path.endswith(f"|{name}")]
        if len(found) != 1:
            raise RuntimeError(f"Object '{name}' {'is not unique' if found else 'not found'}.")
        return found[0]

    def maker(self, kind):
        def command(name=None, query=False, edit=False, exists=False, **flags):
            if exists:
                return any(p == name or p.endswith(f"|{name}") for p in self.elements)
            if query:
                return self.queried(self.of_kind(name, kind), *flags)
            if edit:
                return self.edited(self.of_kind(name, kind), flags)
            return self.made(kind, name, flags)

        return command

    def of_kind(self, name, kind):
        element = self.find(name)
        if element.kind != kind:
            raise RuntimeError(f"{name} is a {element.kind}, not a {kind}")
        return element

    def made(self, kind, name, flags):
        given = flags.pop("parent", None)
        parent = "" if kind == "window" else given or self.current
        if kind != "window" and not parent:
            raise RuntimeError(f"No current UI parent for {kind} {name}")
        if kind == "menuItem" and parent.endswith("|OptionMenu"):
            menu = self.find(parent.rpartition("|")[0])
            menu.items.append(flags["label"])
            menu.flags["value"] = menu.flags.get("value") or flags["label"]
            return f"{parent}|{flags['label']}"
        above = self.find(parent).path if parent else ""
        name = name or f"{kind}{sum(e.kind == kind for e in self.elements.values()) + 1}"
        path = f"{above}|{name}" if above else name
        if path in self.elements:
            raise RuntimeError(f"Object's name '{name}' is not unique.")
        self.elements[path] = Element(kind, path, above, flags)
        if kind in LAYOUTS and given is None:
            self.current = path
        return path

    def queried(self, element, flag):
        if element.kind == "textScrollList":
            return {"allItems": element.items, "selectIndexedItem": element.chosen}[flag] or None
        if flag == "itemListLong":
            return element.items
        return element.flags.get(flag, EMPTY.get(flag))

    def edited(self, element, flags):
        if element.kind == "textScrollList":
            if flags.pop("removeAll", False):
                element.items, element.chosen = [], []
            added = flags.pop("append", [])
            element.items += [added] if isinstance(added, str) else added
            if "selectIndexedItem" in flags:
                element.chosen = [flags.pop("selectIndexedItem")]
        if flags.pop("deleteAllItems", False):
            element.items = []
            element.flags.pop("value", None)
        wanted = flags.get("value") if element.kind == "optionMenuGrp" else None
        if wanted is not None and wanted not in element.items:
            raise RuntimeError(f"Item not found: {wanted}")
        element.flags.update(flags)

    def setParent(self, to):
        self.current = self.elements[self.current].parent if to == ".." else self.find(to).path

    def showWindow(self, name):
        self.find(name).flags["visible"] = True

    def deleteUI(self, name, **_):
        path = self.find(name).path
        self.elements = {p: e for p, e in self.elements.items() if p != path and not p.startswith(f"{path}|")}
        if self.current == path or self.current.startswith(f"{path}|"):
            self.current = ""

    def fileDialog2(self, **flags):
        self.dialogs.append(flags)
        return self.answers.pop(0) if self.answers else None

    def confirmDialog(self, **flags):
        self.dialogs.append(flags)
        return self.answers.pop(0) if self.answers else "dismiss"

    def channelBox(self, name, query=False, **flags):
        return self.marked if "selectedMainAttributes" in flags else None

    marked = None

    # what the artist's hand does

    def press(self, name):
        """Press a button or a menu entry; a disabled one cannot be pressed."""
        element = self.find(name)
        if not element.flags.get("enable", True):
            raise AssertionError(f"{name} is disabled")
        command = element.flags.get("command") or element.flags["buttonCommand"]
        if isinstance(command, str):
            exec(compile(command, f"<{name}>", "exec"), {})
        else:
            command(*([False] if element.kind in ("button", "menuItem") else []))

    def entry(self, parent, label):
        """The path of an entry of a menu or a shelf by its label."""
        return next(p for p, e in self.elements.items() if e.parent.endswith(parent) and e.flags.get("label") == label)

    def type(self, name, value):
        """Type or choose a value, as a person: whatever listens to it is told."""
        element = self.find(name)
        if element.items and value not in element.items:
            raise AssertionError(f"{name} does not offer {value!r}: {element.items}")
        element.flags[CONTROLS[element.kind]] = value
        if "changeCommand" in element.flags:
            element.flags["changeCommand"](value)

    def choose(self, name, number):
        """Click on the entry with this number, from 1, of a list."""
        element = self.find(name)
        element.chosen = [number]
        if "selectCommand" in element.flags:
            element.flags["selectCommand"]()

    def read(self, name):
        """What a person sees in it."""
        element = self.find(name)
        shown = CONTROLS[element.kind]
        return element.items if shown == "items" else element.flags.get(shown, EMPTY.get(shown))
