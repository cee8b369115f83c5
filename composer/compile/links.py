"""Keeps a view and the live network the same: a change made by hand in either is made in both."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from torch import nn

from composer.compile.chain import RUN_ALL
from composer.compile.derived import derive
from composer.errors import Diagnostic, InputError
from composer.torch_private import children, parameters, share_parameters


@dataclass(frozen=True)
class Link:
    """An object of a view, and the live object whose children, parameters and hooks it shares."""

    view: nn.Module
    live: nn.Module
    path: str
    # The class of the view's object, and the class with which the live object was composed.
    made: type[nn.Module]
    composed: type[nn.Module]
    # Names of the children that the outputs need, and of those that they do not need.
    needed: tuple[str, ...]
    left_out: frozenset[str]
    # What the view last received; a different object there was put in by hand.
    given: dict[str, nn.Module | nn.Parameter | None] = field(default_factory=dict)

    def hand_on(self, views: dict[int, nn.Module]) -> None:
        """Copy changes made by hand from the view to the live object; `views` as in `follow`."""
        for name in self.needed:
            child = children(self.view).get(name)
            if child is not self.given[name]:
                if child is None or id(self.given[name]) in views:
                    raise replaced(f"{self.path}.{name}".lstrip("."), child)
                children(self.live)[name] = self.given[name] = child
        if parameters(self.view) is not parameters(self.live):
            for name, parameter in parameters(self.view).items():
                if parameter is not self.given.get(name):
                    parameters(self.live)[name] = parameter

    def follow(self, views: dict[int, nn.Module]) -> None:
        """Take over the live object's children, parameters and class. `views`: id of a view's object -> live object."""
        view, live = self.view, self.live
        view.training = live.training
        for name in self.needed:
            child, found = children(view)[name], children(live).get(name)
            if found is None or (id(child) in views and found is not views[id(child)]):
                raise replaced(f"{self.path}.{name}".lstrip("."), found)
            if id(child) not in views:
                children(view)[name] = found
        derived = derive(type(live), self.composed, self.made)
        if type(view) is not derived:
            view.__class__ = derived
        extra: dict[str, nn.Module | None] = {}
        if derived is self.made:
            parameters(view).update((name, parameters(live).get(name)) for name in parameters(view))
        else:
            # Code that derived the class (fully_shard, parametrize) may replace parameters at any time, and register
            # them under children of its own.
            share_parameters(view, live)
            if self.made not in RUN_ALL:
                extra = {name: one for name, one in children(live).items() if name not in self.left_out}
        for name in children(view).keys() - extra.keys() - set(self.needed):
            del children(view)[name]
        children(view).update((name, one) for name, one in extra.items() if name not in self.needed)
        self.given.update(children(view))
        self.given.update(parameters(view))


@dataclass
class Links:
    """The links of a view to the live network, in both directions. Copies and pickles have none."""

    links: list[Link] = field(default_factory=list)

    def follow(self) -> None:
        """Carry changes made by hand from the view to the live network, then take over the live network's state."""
        views = {id(one.view): one.live for one in self.links}
        for one in self.links:
            one.hand_on(views)
        for one in self.links:
            one.follow(views)

    def __reduce__(self) -> tuple[Any, ...]:
        return Links, ()

    def __deepcopy__(self, memo: dict[int, Any]) -> Links:
        return Links()


def replaced(path: str, found: nn.Module | None) -> InputError:
    now = "is gone" if found is None else f"is a {type(found).__name__} that was put in by hand"
    text = (
        f"`{path}` {now}, so features inside or behind it cannot be told"
        if path
        else "the network's forward was replaced by hand"
    )
    help = ("take features of whole modules around it, or register a forward hook on the module of your own",)
    return InputError(Diagnostic("features", text, help=help))
