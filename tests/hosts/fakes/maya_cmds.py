"""What Maya's commands do to the fake scene. Edits are steps of the undo queue, as in Maya."""

import math

from .maya_camera import INHERITED
from .maya_scene import CENTIMETRES, NUMBERS, Attr, Node, furnish

TYPES = {"transform": ("transform", "joint"), "joint": ("joint",), "locator": ("locator",), "animLayer": ("animLayer",)}


class Commands:
    """One method a command; `Maya` hands them to the strict module by name."""

    def __init__(self, maya):
        self.maya, self.scene, self.queue, self.state = maya, maya.scene, maya.queue, maya.state

    # looking

    def ls(self, *patterns, selection=False, long=False, type=None, recursive=False):
        nodes = list(self.scene.selection) if selection else list(self.scene.nodes)
        if patterns:
            nodes = [node for pattern in patterns for node in self.scene.find(pattern, recursive)]
        if type:
            wanted = [type] if isinstance(type, str) else type
            nodes = [node for node in nodes if node.kind in wanted]
        return [node.path if long else self.scene.shown(node) for node in dict.fromkeys(nodes)]

    def objExists(self, name):
        return bool(self.scene.attr(name) if "." in name else self.scene.find(name))

    def one(self, name):
        found = self.scene.find(name)
        if len(found) != 1:
            raise RuntimeError(f"{'More than one' if found else 'No'} object matches name: {name}")
        return found[0]

    def plug(self, name):
        attr = self.one(name.partition(".")[0]).find(name.partition(".")[2])
        if attr is None:
            raise ValueError(f"No object matches name: {name}")
        return attr

    def nodeType(self, name, inherited=False):
        kind = self.one(name).kind
        return INHERITED.get(kind, [kind]) if inherited else kind

    def listHistory(self, name):
        """What leads to a mesh: itself, and what is connected to its inMesh, one after another."""
        found = [self.one(name)]
        while (end := found[-1].find("inMesh")) is not None and end.source is not None:
            found.append(end.source.node)
        return [node.name for node in found]

    def objectType(self, name, isAType=None):
        kind = self.one(name).kind
        return kind if isAType is None else kind in TYPES.get(isAType, (isAType,))

    def listRelatives(
        self, name, parent=False, shapes=False, fullPath=False, type=None, allDescendents=False, noIntermediate=False
    ):
        node = self.one(name)
        if parent:
            found = [node.parent] if node.parent else []
        else:
            found = [child for child in self.scene.nodes if child.parent is node]
            if allDescendents:
                inside = f"{node.path}|"
                found = [child for child in self.scene.nodes if child.is_dag and child.path.startswith(inside)]
            found = [child for child in found if not shapes or child.kind in ("locator", "mesh", "camera")]
        found = [child for child in found if type is None or child.kind == type]
        return [child.path if fullPath else child.name for child in found] or None

    def listAttr(self, name, keyable=False, scalar=False, multi=False):
        node = self.one(name.partition(".")[0])
        if multi:
            wanted = name.partition(".")[2]
            found = [attr for attr in node.attrs.values() if attr.name.startswith(f"{wanted}[")]
            return [attr.alias or attr.name for attr in found] or None
        found = [attr for attr in node.attrs.values() if attr.keyable or not keyable]
        found = [attr for attr in found if not scalar or attr.kind in NUMBERS]
        return [attr.alias or attr.name for attr in found if "[" not in attr.name] or None

    def listConnections(self, name, source=True, destination=True, type=None):
        if "." not in name:
            sources = [attr.source.node for attr in self.one(name).attrs.values() if attr.source]
            return [node.name for node in sources if type is None or node.kind.startswith(type)] or None
        attr = self.plug(name)
        found = [attr.source.node] if source and attr.source else []
        if destination:
            found += [a.node for node in self.scene.nodes for a in node.attrs.values() if a.source is attr]
        return [node.name for node in found] or None

    def attributeName(self, name, long=False):
        return self.plug(name).name

    def namespaceInfo(self, name=":", listOnlyNamespaces=False, recurse=False):
        return list(self.scene.namespaces) or None

    # values, in the units of the interface

    def getAttr(self, name, time=None):
        attr = self.plug(name)
        value = self.scene.value(attr, None if time is None else self.scene.ticks(time))
        return list(value) if attr.kind == "matrix" else self.outward(attr, value)

    def outward(self, attr, value):
        if attr.kind == "doubleAngle":
            return math.degrees(value) if self.scene.angle == "deg" else value
        return value / CENTIMETRES[self.scene.linear] if attr.kind == "doubleLinear" else value

    def inward(self, attr, value):
        if attr.kind == "doubleAngle":
            return math.radians(value) if self.scene.angle == "deg" else float(value)
        return value * CENTIMETRES[self.scene.linear] if attr.kind == "doubleLinear" else value

    def setAttr(self, name, value=None, lock=None, keyable=None):
        attr = self.plug(name)
        with self.queue.command("setAttr") as edits:
            if value is not None:
                if attr.locked or attr.source:
                    raise RuntimeError(
                        f"setAttr: The attribute '{name}' is locked or connected and cannot be modified."
                    )
                edits.swap(attr, "value", self.inward(attr, value))
            if lock is not None:
                edits.swap(attr, "locked", lock)
            if keyable is not None:
                edits.swap(attr, "keyable", keyable)

    # nodes

    def createNode(self, kind, name=None, parent=None):
        return self.make(kind, name or f"{kind}1", self.one(parent) if parent else None).name

    def make(self, kind, name, parent=None):
        siblings = {node.name for node in self.scene.nodes if node.parent is parent}
        node = furnish(Node(self.scene.free_name(name) if name in siblings else name, kind, parent))
        space = name.rpartition(":")[0]
        with self.queue.command("createNode") as edits:
            edits.swap(self.scene, "nodes", (*self.scene.nodes, node))
            if space and space not in self.scene.namespaces:
                edits.swap(self.scene, "namespaces", (*self.scene.namespaces, space))
        return node

    def addAttr(self, node, longName=None, attributeType="double", minValue=None, maxValue=None, keyable=True):
        owner = self.one(node)
        made = Attr(owner, longName, kind=attributeType, keyable=keyable, low=minValue, high=maxValue)
        with self.queue.command("addAttr") as edits:
            edits.swap(owner, "attrs", {**owner.attrs, longName: made})

    def connectAttr(self, source, target):
        end = self.plug(target)
        with self.queue.command("connectAttr") as edits:
            edits.swap(end, "source", self.plug(source))

    def delete(self, *names):
        gone = [self.one(name) for name in names]
        with self.queue.command("delete") as edits:
            for node in gone:
                if node.kind == "animLayer":
                    self.maya.layers.change(edits, node, removeAllAttributes=True)
            edits.swap(self.scene, "nodes", tuple(node for node in self.scene.nodes if node not in gone))
            edits.swap(self.scene, "selection", tuple(node for node in self.scene.selection if node not in gone))

    def select(self, *names, replace=False, clear=False):
        nodes = names[0] if names and isinstance(names[0], list) else names
        with self.queue.command("select") as edits:
            edits.swap(self.scene, "selection", () if clear else tuple(self.one(name) for name in nodes))

    # switches and time

    def currentTime(self, time=None, query=False, edit=False):
        if time is None:
            return self.scene.frames(self.scene.time)
        with self.queue.command("currentTime") as edits:
            edits.swap(self.scene, "time", self.scene.ticks(time))
        return time

    def switch(self, command, field, value, query):
        if query:
            return getattr(self.state, field)
        with self.queue.command(command) as edits:
            edits.swap(self.state, field, value)

    def autoKeyframe(self, query=False, state=None):
        return self.switch("autoKeyframe", "autokey", state, query)

    def evaluationManager(self, query=False, mode=None):
        found = self.switch("evaluationManager", "evaluation", mode, query)
        return [found] if query else None

    def cycleCheck(self, query=False, evaluation=None):
        return self.switch("cycleCheck", "cycles", evaluation, query)

    def workspace(self, query=False, rootDirectory=False):
        return f"{self.maya.home}/"

    def refresh(self, suspend=None):
        self.state.suspended = bool(suspend)

    def currentUnit(self, query=False, time=None, linear=None, angle=None):
        for field, value in (("unit", time), ("linear", linear), ("angle", angle)):
            if value and query:
                return getattr(self.scene, field)
            if value:
                setattr(self.scene, field, value)
        return None

    def upAxis(self, query=False, axis=None):
        return self.scene.up

    def playbackOptions(self, query=False, minTime=False, maxTime=False):
        return self.state.playback[0 if minTime else 1]

    # undo

    def undoInfo(self, query=False, state=None, openChunk=False, closeChunk=False, chunkName="", **flags):
        if query:
            return self.queue.recording if state or "stateWithoutFlush" in flags else self.maya.undo_name()
        if openChunk:
            self.queue.open(chunkName)
        elif closeChunk:
            self.queue.close()
        elif "stateWithoutFlush" in flags:
            self.queue.recording = bool(flags["stateWithoutFlush"])
        else:
            raise NotImplementedError(f"undoInfo {flags}; a flush would lose the artist's steps")

    def undo(self):
        self.queue.undo()

    def redo(self):
        self.queue.redo()

    # the application

    def about(self, batch=False, version=False):
        return not self.maya.gui if batch else "2025"

    def evalDeferred(self, call, lowestPriority=False):
        self.maya.deferred.append(call)

    def loadPlugin(self, name, quiet=False):
        return [self.maya.load_plugin(name)]

    def unloadPlugin(self, name):
        return [self.maya.unload_plugin(name)]

    def pluginInfo(
        self, name=None, query=False, listPlugins=False, edit=False, autoload=None, savePluginPrefs=False, path=False
    ):
        if edit:
            if name not in self.maya.plugins:
                raise RuntimeError(f"Plug-in '{name}' not found")
            self.state.autoload[name] = autoload
        if savePluginPrefs:
            self.state.saved_autoload = dict(self.state.autoload)
        return str(self.maya.plugins[name].path) if path else list(self.maya.plugins) or None

    def internalVar(self, userAppDir=False):
        return f"{self.maya.home}/"

    def colorManagementPrefs(self, query=False, cmEnabled=False, configFilePath=False):
        return self.state.colour[0 if cmEnabled else 1]

    def file(self, name=None, open=False, newFile=False, force=False, rename=None, save=False, type=None):
        if open and name not in self.maya.scenes:
            raise RuntimeError(f"File not found: {name}")
        if open or newFile:
            self.scene.nodes, self.scene.selection, self.queue.done, self.queue.undone = (), (), [], []
        if open:
            self.maya.scenes[name]()
            return name
        if rename:
            self.state.scene_name = rename
        if save:
            self.state.saved.append((self.state.scene_name, type))
        return self.state.scene_name
