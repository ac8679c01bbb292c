"""Plug-ins of the fake Maya: scripted ones are loaded from their real files, their commands join cmds and the queue."""

import importlib.util
import pathlib

from .maya_session import fakes, maya


@fakes("OpenMaya.MSyntax")
class MSyntax:
    kNoArg, kBoolean, kLong, kDouble, kString = 1, 2, 3, 4, 5

    def __init__(self):
        self._args, self._flags = [], {}

    def addArg(self, argType):
        self._args.append(argType)

    def addFlag(self, shortName, longName, *types):
        self._flags[shortName], self._flags[longName] = (longName, types), (longName, types)


@fakes("OpenMaya.MArgList")
class MArgList:
    def __init__(self, args, flags):
        self._args, self._flags = args, flags


@fakes("OpenMaya.MArgParser")
class MArgParser:
    def __init__(self, syntax, argList):
        if len(argList._args) != len(syntax._args):
            raise RuntimeError("Wrong number of arguments on call")
        unknown = [flag for flag in argList._flags if f"-{flag}" not in syntax._flags]
        if unknown:
            raise TypeError(f"Invalid flag '{unknown[0]}'")
        self._syntax, self._given = syntax, argList

    def _value(self, flag):
        return self._given._flags.get(self._syntax._flags[flag][0].strip("-"))

    def isFlagSet(self, flag):
        return self._value(flag) is not None

    def flagArgumentDouble(self, flag, index):
        return float(self._value(flag))

    def commandArgumentString(self, index):
        return str(self._given._args[index])


@fakes("OpenMaya.MArgDatabase")
class MArgDatabase(MArgParser):
    def __init__(self, syntax, argList):
        MArgParser.__init__(self, syntax, argList)


@fakes("OpenMaya.MPxCommand")
class MPxCommand:
    def __init__(self):
        pass

    def syntax(self):
        return self._syntax

    def isUndoable(self):
        return False

    @staticmethod
    def setResult(value):
        maya().result = value


@fakes("OpenMaya.MFnPlugin")
class MFnPlugin:
    def __init__(self, object, vendor="", version="", apiVersion="Any"):
        self._plugin = object

    def loadPath(self):
        return str(self._plugin.path.parent)

    def name(self):
        return self._plugin.name

    def registerCommand(self, name, creator, createSyntax=None):
        if name in maya().commands:
            raise RuntimeError(f"(kFailure): {name} is registered already")
        maya().commands[name] = maya().behaviours[name] = runner(name, creator, createSyntax)

    def deregisterCommand(self, name):
        del maya().commands[name], maya().behaviours[name]


@fakes("OpenMaya.MGlobal")
class MGlobal:
    displayInfo = staticmethod(lambda text: maya().said.append(("info", text)))
    displayWarning = staticmethod(lambda text: maya().said.append(("warning", text)))
    displayError = staticmethod(lambda text: maya().said.append(("error", text)))


@fakes("OpenMaya.MSceneMessage")
class MSceneMessage:
    kMayaExiting = 11

    @staticmethod
    def addCallback(message, function, clientData=None):
        maya().callbacks[len(maya().callbacks) + 1] = (message, function, clientData)
        return len(maya().callbacks)


@fakes("OpenMaya.MMessage")
class MMessage:
    @staticmethod
    def removeCallback(id):
        del maya().callbacks[id]


def runner(name, creator, create_syntax):
    """cmds.NAME: a fresh command for each call; an undoable one that went well joins the queue."""

    def call(*args, **flags):
        command = creator()
        command._syntax = create_syntax() if create_syntax else None
        maya().result = None
        command.doIt(MArgList(args, flags))
        if command.isUndoable():
            maya().queue.record(name, command.undoIt, command.redoIt)
        return maya().result

    return call


class Plugin:
    """One loaded plug-in; what Maya hands it as its MObject."""

    def __init__(self, path):
        self.path, self.name = pathlib.Path(path), pathlib.Path(path).stem
        spec = importlib.util.spec_from_file_location(self.name, path)
        self.module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(self.module)
        if not hasattr(self.module, "maya_useNewAPI"):
            raise RuntimeError(f"{self.name} does not say that it uses the new API")
