"""Animation layers of the fake scene: blend nodes between an attribute and what drove it."""

from .maya_scene import Node

BLENDS = {
    "double": "animBlendNodeAdditive", "float": "animBlendNodeAdditiveF", "doubleLinear": "animBlendNodeAdditiveDL",
    "doubleAngle": "animBlendNodeAdditiveRotation", "bool": "animBlendNodeBoolean", "enum": "animBlendNodeEnum",
    "long": "animBlendNodeAdditiveI32",
}  # fmt: skip


class Layers:
    """What `cmds.animLayer` does."""

    def __init__(self, maya):
        self.maya, self.scene = maya, maya.scene
        self.rotations_together = False  # as some versions do: one rotation brings its sisters

    def command(self, *args, query=False, edit=False, **flags):
        if query:
            return self.query(args[0] if args else None, **flags)
        with self.maya.queue.command("animLayer") as edits:
            if not edit:
                layer = self.create(edits, args[0] if args else "AnimLayer1", flags.pop("override", False))
            else:
                layer = self.layer(args[0])
            self.change(edits, layer, **flags)
        return layer.name

    def layer(self, name):
        found = [node for node in self.scene.find(name) if node.kind == "animLayer"]
        if not found:
            raise RuntimeError(f"Animation layer '{name}' not found")
        return found[0]

    def create(self, edits, name, override):
        if not any(node.name == "BaseAnimation" for node in self.scene.nodes):
            self.put(edits, "BaseAnimation", True)
        return self.put(edits, name, override)

    def put(self, edits, name, override):
        node = Node(self.scene.free_name(name), "animLayer")
        node.extra = {"override": override, "lock": False, "mute": False, "weight": 1.0, "members": {}}
        edits.swap(self.scene, "nodes", (*self.scene.nodes, node))
        return node

    def change(self, edits, layer, **flags):
        for flag, value in flags.items():
            if flag == "attribute":
                for name in [value] if isinstance(value, str) else value:
                    for one in self.brought(name):
                        self.join(edits, layer, one)
            elif flag == "removeAttribute":
                for name in [value] if isinstance(value, str) else value:
                    self.leave(edits, layer, self.plug(name))
            elif flag == "removeAllAttributes":
                for attr in tuple(layer.extra["members"]):
                    self.leave(edits, layer, attr)
            elif flag in ("lock", "mute", "weight", "override"):
                edits.swap(layer, "extra", {**layer.extra, flag: value})
            else:
                raise NotImplementedError(f"animLayer {flag}")

    def brought(self, name):
        together = self.rotations_together and name[:-1].endswith(".rotate")
        return [name[:-1] + axis for axis in "XYZ"] if together else [name]

    def plug(self, name):
        attr = self.scene.attr(name)
        if attr is None:
            raise RuntimeError(f"No object matches name: {name}")
        return attr

    def join(self, edits, layer, name):
        attr = self.plug(name)
        if attr in layer.extra["members"]:
            return
        if layer.extra["lock"]:
            raise RuntimeError(f"{layer.name} is locked")
        if attr.locked or (attr.parent and attr.parent.locked) or attr.node.locked:
            raise RuntimeError(f"The attribute {attr!r} is locked")
        if attr.source and not attr.source.node.kind.startswith(("animCurveT", "animBlendNode")):
            raise RuntimeError(f"{attr!r} is driven by {attr.source!r}")
        blend, axis = self.blend(attr)
        blend.extra = {"layer": layer}
        below, above = blend.attrs[f"inputA{axis}"], blend.attrs[f"inputB{axis}"]
        below.value, below.source, above.value = attr.value, attr.source, attr.value
        edits.swap(self.scene, "nodes", (*self.scene.nodes, blend))
        edits.swap(attr, "source", blend.attrs[f"output{axis}"])
        edits.swap(layer, "extra", {**layer.extra, "members": {**layer.extra["members"], attr: above}})

    def blend(self, attr):
        kind = BLENDS[attr.kind]
        blend = Node(self.scene.free_name(f"{kind}1"), kind)
        axis = attr.name[-1] if kind.endswith("Rotation") and attr.name[-1] in "XYZ" else ""
        if kind.endswith("Rotation") and not axis:
            blend.kind = "animBlendNodeAdditiveDA"
        for end in ("inputA", "inputB", "output"):
            blend.add(f"{end}{axis}", kind=attr.kind)
        return blend, axis

    def leave(self, edits, layer, attr):
        above = layer.extra["members"][attr]
        blend, axis = above.node, above.name[len("inputB") :]
        below = blend.attrs[f"inputA{axis}"]
        consumer = attr
        while consumer.source is not blend.attrs[f"output{axis}"]:
            upper = consumer.source.node
            consumer = upper.attrs["inputA" + consumer.source.name[len("output") :]]
        edits.swap(consumer, "source", below.source)
        gone = {blend} | ({above.source.node} if above.source else set())
        edits.swap(self.scene, "nodes", tuple(node for node in self.scene.nodes if node not in gone))
        members = {key: value for key, value in layer.extra["members"].items() if key is not attr}
        edits.swap(layer, "extra", {**layer.extra, "members": members})

    def query(self, name, **flags):
        (flag, value), *more = flags.items()
        if more:
            raise NotImplementedError(f"animLayer queries one flag at a time: {flags}")
        if flag == "root":
            return next((node.name for node in self.scene.nodes if node.name == "BaseAnimation"), None)
        if flag == "exists":
            return any(node.kind == "animLayer" for node in self.scene.find(name))
        layer = self.layer(name)
        if flag == "layeredPlug":
            above = layer.extra["members"].get(self.plug(value))
            return repr(above) if above else None
        if flag == "attribute":
            return [repr(attr) for attr in layer.extra["members"]] or None
        return layer.extra[flag]
