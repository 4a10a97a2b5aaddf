"""Which plugins there are, what they bring, and what is wrong with each.

    found = manager()
    found.catalog().find("resnet18"); found.costs(); found.plugins()

Plugins are loaded one by one and their hooks are called one by one. Whatever a plugin does wrong -
it does not import, raises, returns rubbish, takes a taken name - is written down beside its name,
and what else it brings is kept. Zoo's own plugins come first, then the user's project, then the
others by name, so that the order does not depend on the machine.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from types import MappingProxyType, ModuleType
from typing import TYPE_CHECKING, Any

from pluggy import PluginManager, PluginValidationError

from zoo.catalog.catalog import Catalog, Entry
from zoo.catalog.where import account
from zoo.errors import DuplicateDevice, DuplicateModel, did_you_mean
from zoo.lines import short_path
from zoo.plugins import hookspecs, project
from zoo.plugins.checks import command_fault, fault, formula_fault
from zoo.plugins.hookspecs import PROJECT
from zoo.plugins.installed import EntryPoint, installed

if TYPE_CHECKING:
    from os import PathLike

    import click
    from pluggy import HookImpl

    from zoo.analysis.costs.base import CostFormula
    from zoo.analysis.devices import Devices
    from zoo.analysis.opinions import Engine

OWN = "zoo.plugins."
"""Where zoo's own plugins are; no other may take their names."""
HOOKS = tuple(name for name in vars(hookspecs) if name.startswith("zoo_"))


@dataclass(frozen=True, slots=True)
class PluginInfo:
    """A plugin and its health."""

    name: str
    """Name of its entry point; the first half of its models' qualified names."""
    version: str | None
    """Version of its distribution; None where it has none."""
    distribution: str | None
    """What `pip` calls it; None for the user's project."""
    module: str
    """Module that holds its hooks."""
    source: str | None
    """File of that module, or the project's pyproject.toml; None where it did not load."""
    models: int
    """Number of models that it brought and that can be looked up."""
    hooks: tuple[str, ...]
    """Hooks that it answers."""
    errors: tuple[str, ...]
    """What is wrong with it, a sentence each, with `file:line` where there is one."""
    devices: int = 0
    """Number of devices that it brought and that can be looked up."""


class _Loaded:
    """A plugin while it is being asked."""

    def __init__(
        self,
        name: str,
        module: str,
        entry_point: EntryPoint | None = None,
        folders: tuple[str, ...] = (),
    ) -> None:
        self.name, self.module, self.entry_point, self.folders = name, module, entry_point, folders
        self.plugin: object | None = None
        self.models = self.devices = 0
        self.errors: list[str] = []

    @property
    def source(self) -> str | None:
        """Its file."""
        if isinstance(self.plugin, project.Project):
            return self.plugin.path
        module = sys.modules.get(self.module)
        return getattr(module, "__file__", None) if self.plugin is not None else None


def manager(
    *,
    entry_points: bool = True,
    project: str | PathLike[str] | None = ".",
    extra: Iterable[object] = (),
) -> Manager:
    """Find and load plugins.

    Args:
        entry_points: Whether those that installed distributions name in the group `zoo` are loaded.
        project: Folder at or above which a pyproject.toml with `[tool.zoo.models]` is looked for;
            None for no project.
        extra: More plugins: modules or objects with hooks. They are called as the module (its last
            part) or as their class.

    Returns:
        What they bring. Never raises for what a plugin does.
    """
    made = Manager()
    found = installed() if entry_points else ()
    for one in found:
        if one.value.startswith(OWN):
            made.load(one)
    if project is not None:
        made.add_project(project)
    for plugin in extra:
        made.add(plugin)
    for one in found:
        if not one.value.startswith(OWN):
            made.load(one)
    return made


class Manager:
    """Plugins and what they bring. Made by `manager`; each hook is called once, when needed."""

    def __init__(self) -> None:
        self._pm = PluginManager(PROJECT)
        self._pm.add_hookspecs(hookspecs)
        self._loaded: list[_Loaded] = []
        self._catalog: Catalog | None = None
        self._costs: Mapping[str, CostFormula] | None = None
        self._commands: Mapping[str, click.Command] | None = None
        self._devices: Devices | None = None
        self._engines: Mapping[str, Engine] | None = None

    def load(self, entry_point: EntryPoint) -> None:
        """Import a distribution's plugin and take it in."""
        one = _Loaded(entry_point.name, entry_point.module, entry_point)
        try:
            plugin = entry_point.load()
        except (Exception, SystemExit) as error:  # noqa: BLE001  # a stranger's module may raise anything
            one.errors.append(account(error, "importing it"))
            self._loaded.append(one)
            return
        self._register(one, plugin)

    def add(self, plugin: object) -> None:
        """Take in a module or an object with hooks."""
        if isinstance(plugin, ModuleType):
            one = _Loaded(plugin.__name__.rpartition(".")[2], plugin.__name__)
        else:
            kind = plugin if isinstance(plugin, type) else type(plugin)
            one = _Loaded(kind.__name__, kind.__module__)
        self._register(one, plugin)

    def add_project(self, start: str | PathLike[str]) -> None:
        """Take in the project around the folder `start`, where there is one that speaks of zoo."""
        found = project.find_project(start)
        if found is not None:
            one = _Loaded(project.NAME, project.__name__, folders=found.folders)
            one.errors.extend(found.problems)
            self._register(one, found)

    def _register(self, one: _Loaded, plugin: object) -> None:
        taken = next((other for other in self._loaded if other.name == one.name), None)
        self._loaded.append(one)
        if taken is not None:
            one.errors.append(f"the plugin name {one.name!r} is taken by {_owner(taken)}")
            return
        try:
            self._pm.register(plugin, one.name)
        except (PluginValidationError, ValueError) as error:
            if self._pm.get_plugin(one.name) is plugin:
                self._pm.unregister(plugin)
            one.errors.append(" ".join(str(error).split()))
            return
        except (Exception, SystemExit) as error:  # noqa: BLE001  # looking at a stranger may raise anything
            one.errors.append(account(error, "looking for its hooks"))
            return
        one.plugin = plugin
        one.errors.extend(self._hook_faults(plugin))

    def _hook_faults(self, plugin: object) -> Iterator[str]:
        callers = self._pm.get_hookcallers(plugin)
        if not callers:
            yield "it answers no hook. Mark its functions with @zoo.hookimpl."
        for caller in callers or ():
            for impl in caller.get_hookimpls():
                if impl.plugin is plugin and not caller.has_spec() and not impl.optionalhook:
                    hint = did_you_mean(caller.name, HOOKS, f"Known: {', '.join(HOOKS)}.")
                    yield f"no hook is called {caller.name!r}. {hint}"

    def plugins(self) -> tuple[PluginInfo, ...]:
        """All plugins with what is wrong with them. Asks each everything it can be asked."""
        self.catalog(), self.costs(), self.commands(), self.devices(), self.engines()
        return tuple(self._info(one) for one in self._loaded)

    def catalog(self) -> Catalog:
        """All architectures."""
        if self._catalog is None:
            self._catalog = Catalog(dict.fromkeys(one.name for one in self._loaded))
            for one, where, cards in self._answers("zoo_models"):
                for card in self._items(one, "zoo_models", where, cards):
                    self._take(self._catalog, one, card, where)
        return self._catalog

    def _take(self, catalog: Catalog, one: _Loaded, card: Any, where: str) -> None:
        wrong = fault(card)
        if wrong is not None:
            one.errors.append(f"zoo_models: {wrong} ({where})")
            return
        try:
            catalog.add(Entry(one.name, card, one.folders))
        except DuplicateModel as error:
            one.errors.append(f"zoo_models: {error} ({where})")
        else:
            one.models += 1

    def costs(self) -> Mapping[str, CostFormula]:
        """Formulas of all plugins, by operator."""
        if self._costs is None:
            found: dict[str, CostFormula] = {}
            owners: dict[str, str] = {}
            for one, where, table in self._answers("zoo_costs"):
                if not isinstance(table, Mapping):
                    text = (
                        f"returned {type(table).__name__}, not a mapping of operators to formulas"
                    )
                    one.errors.append(f"zoo_costs: {text} ({where})")
                    continue
                for op, formula in self._items(one, "zoo_costs", where, table.items()):
                    wrong = formula_fault(op, formula, owners)
                    if wrong is not None:
                        one.errors.append(f"zoo_costs: {wrong} ({where})")
                        continue
                    found[op], owners[op] = formula, one.name
            self._costs = MappingProxyType(found)
        return self._costs

    def commands(self, taken: Iterable[str] = ()) -> Mapping[str, click.Command]:
        """Commands of all plugins, by name.

        Args:
            taken: Names that no plugin's command may have. Read by the first call.

        Returns:
            Those whose names are free.
        """
        if self._commands is None:
            found: dict[str, click.Command] = {}
            owners = dict.fromkeys(taken, "zoo itself")
            for one, where, commands in self._answers("zoo_commands"):
                for command in self._items(one, "zoo_commands", where, commands):
                    wrong = command_fault(command, owners)
                    if wrong is not None:
                        one.errors.append(f"zoo_commands: {wrong} ({where})")
                        continue
                    found[command.name], owners[command.name] = command, one.name
            self._commands = MappingProxyType(found)
        return self._commands

    def devices(self) -> Devices:
        """Devices of all plugins, by their names."""
        if self._devices is None:
            from zoo.analysis.devices import Devices
            from zoo.plugins.device_checks import device_fault

            self._devices = Devices()
            for one, where, devices in self._answers("zoo_devices"):
                for device in self._items(one, "zoo_devices", where, devices):
                    wrong = device_fault(device)
                    if wrong is not None:
                        one.errors.append(f"zoo_devices: {wrong} ({where})")
                        continue
                    try:
                        self._devices.add(one.name, device)
                    except DuplicateDevice as error:
                        one.errors.append(f"zoo_devices: {error} ({where})")
                    else:
                        one.devices += 1
        return self._devices

    def engines(self) -> Mapping[str, Engine]:
        """Second opinions of all plugins, by name."""
        if self._engines is None:
            from zoo.plugins.engine_checks import engine_fault

            found: dict[str, Engine] = {}
            owners: dict[str, str] = {}
            for one, where, engines in self._answers("zoo_engines"):
                for engine in self._items(one, "zoo_engines", where, engines):
                    wrong = engine_fault(engine, owners)
                    if wrong is not None:
                        one.errors.append(f"zoo_engines: {wrong} ({where})")
                        continue
                    found[engine.name] = engine
                    owners[engine.name.lower()] = one.name
            self._engines = MappingProxyType(found)
        return self._engines

    def _answers(self, hook: str) -> Iterator[tuple[_Loaded, str, Any]]:
        """(plugin, `file:line` of its hook, what the hook returned) of those that answer."""
        for one in self._loaded:
            for impl in self._impls(one, hook):
                where = _line_of(impl)
                if impl.hookwrapper or impl.wrapper:
                    one.errors.append(f"{hook}: wrappers are not called ({where})")
                    continue
                try:
                    answer = impl.function()
                except (Exception, SystemExit) as error:  # noqa: BLE001  # a stranger's code
                    one.errors.append(f"{hook}: {account(error, 'calling it')}")
                else:
                    yield one, where, answer

    def _impls(self, one: _Loaded, hook: str) -> list[HookImpl]:
        if one.plugin is None:
            return []
        return [
            impl
            for impl in getattr(self._pm.hook, hook).get_hookimpls()
            if impl.plugin is one.plugin
        ]

    def _items(self, one: _Loaded, hook: str, where: str, answer: Any) -> Iterator[Any]:
        """Items of what a hook returned, up to the one at which it raises."""
        series = None
        if not isinstance(answer, str | bytes):
            with suppress(Exception):  # a stranger's __iter__
                series = iter(answer)
        if series is None:
            kind = type(answer).__name__
            one.errors.append(f"{hook}: returned {kind}, which is not a series ({where})")
            return
        while True:
            try:
                item = next(series)
            except StopIteration:
                return
            except (Exception, SystemExit) as error:  # noqa: BLE001  # a stranger's generator
                one.errors.append(f"{hook}: {account(error, 'calling it')}")
                return
            yield item

    def _info(self, one: _Loaded) -> PluginInfo:
        dist = one.entry_point.distribution if one.entry_point else None
        hooks = tuple(hook for hook in HOOKS if self._impls(one, hook))
        return PluginInfo(
            one.name,
            dist.version if dist else None,
            dist.name if dist else None,
            one.module,
            one.source,
            one.models,
            hooks,
            tuple(one.errors),
            one.devices,
        )


def _owner(one: _Loaded) -> str:
    dist = one.entry_point.distribution if one.entry_point else None
    return f"{one.module} of {dist.name}" if dist else one.module


def _line_of(impl: HookImpl) -> str:
    code = getattr(impl.function, "__code__", None)
    return f"{short_path(code.co_filename)}:{code.co_firstlineno}" if code else impl.plugin_name
