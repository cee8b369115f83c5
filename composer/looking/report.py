"""A look at a network's attention: findings, figures, and the folder that holds them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from composer.amounts import plural
from composer.errors import Diagnostic, InputError
from composer.files import staged
from composer.looking.branches import branches_section
from composer.looking.canvas import png, styled
from composer.looking.chance import Chance, chance_of
from composer.looking.chosen import Chosen, choose
from composer.looking.classes import choose_classes, class_section
from composer.looking.fields import check_nodes, fields_section
from composer.looking.gates import gates_section
from composer.looking.gather import Gathered, gather
from composer.looking.other import other_section
from composer.looking.page import Side, cell, folded
from composer.looking.plates import Finding, Plate, Section
from composer.looking.prepared import Images
from composer.looking.queries import Patch
from composer.looking.routing import routing_section
from composer.looking.sites import sites_of
from composer.looking.spatial import elements_section, spatial_section
from composer.looking.table import sites_section
from composer.looking.tokens import rollout_section, tokens_section
from composer.spec.hub import hub_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from composer.compile.module import ComposedModule

INDEX = "index.html"
_SHARED = "Maps of the same mechanism have one range of colours on both sides."


@dataclass(frozen=True)
class Look:
    """What a network's attention shows, in sections; a notebook shows all of it.

    `findings` and tables are ready. Figures are drawn on request, and need the extra `look`.
    """

    network: str
    lead: tuple[str, ...]
    sections: tuple[Section, ...] = field(repr=False)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All findings, in the order of the sections."""
        return tuple(finding for section in self.sections for finding in section.findings)

    @property
    def plates(self) -> dict[str, Plate]:
        """Name -> plate, in the order of the sections."""
        return {plate.name: plate for section in self.sections for plate in section.plates}

    def figures(self) -> dict[str, Figure]:
        """Name -> figure, drawn anew. Raises UnavailableError without the extra `look`."""
        with styled():
            return {name: plate.draw() for name, plate in self.plates.items()}

    def write(self, folder: Path | str, *, force: bool = False) -> list[Path]:
        """Write index.html and a PNG per figure into a folder, all or none, and return their paths.

        folder  made if it does not exist
        force   replace existing files

        Raises InputError if a file exists and must not be replaced, UnavailableError without the extra `look`.
        """
        images = self._images()
        targets = [Path(folder) / INDEX, *(Path(folder) / f"{name}.png" for name in images)]
        with staged(targets, force=force) as (index, *files):
            index.write_text(self._page(images), encoding="utf-8")
            for file, image in zip(files, images.values(), strict=True):
                file.write_bytes(image)
        return targets

    def _images(self, beside: Look | None = None) -> dict[str, bytes]:
        others = beside.plates if beside is not None else {}
        # Matplotlib lays out text when it saves a figure, so the style must hold until then.
        with styled():
            return {name: png(plate.draw(others.get(name))) for name, plate in self.plates.items()}

    def _page(self, images: dict[str, bytes]) -> str:
        return folded(self._title, [Side(self.network, self.lead, self.sections, images)])

    def beside(self, other: Look, folder: Path | str, *, force: bool = False) -> list[Path]:
        """Write one page with this look and another, side by side, and a PNG per figure; arguments as for `write`.

        The figures of the other are called `other-…`. Maps of the same mechanism have one range of colours.
        """
        images, theirs = self._images(other), other._images(self)
        named = {**images, **{f"other-{name}": image for name, image in theirs.items()}}
        targets = [Path(folder) / INDEX, *(Path(folder) / f"{name}.png" for name in named)]
        shared = [_SHARED] if any(plate.colours and name in other.plates for name, plate in self.plates.items()) else []
        sides = [
            Side(one.network, [*shared, *one.lead], one.sections, own) for one, own in ((self, images), (other, theirs))
        ]
        with staged(targets, force=force) as (index, *files):
            index.write_text(folded(f"Attention of {self.network} and {other.network}", sides), encoding="utf-8")
            for file, image in zip(files, named.values(), strict=True):
                file.write_bytes(image)
        return targets

    @property
    def _title(self) -> str:
        return f"Attention of {self.network}"

    def _repr_html_(self) -> str:
        return cell(self._title, self.lead, self.sections, self._images())


def look_at(
    model: ComposedModule,
    images: Images,
    *,
    nodes: str | Sequence[str] = (),
    patch: Patch | None = None,
    target: int | str | None = None,
    classes: Sequence[str] | None = None,
) -> Look:
    """Look at the attention of a network on images; see `composer.look`."""
    paths = check_nodes(model, [nodes] if isinstance(nodes, str) else nodes)
    sites = sites_of(model)
    if not sites and not nodes:
        raise _nothing(model, "has no attention to look at")
    gathered = gather(model, images)
    if not gathered.seen and not nodes:
        raise _nothing(model, "has attention, but none of it says what its values are")
    chance = chance_of(model, gathered, images)
    sections = tuple(_sections(gathered, chance, paths, patch, target, classes or model.spec.classes))
    return Look(model.spec.name, _lead(model, gathered), sections)


def attention_on(model: ComposedModule, images: Images) -> Look | None:
    """What a network's attention does on images, and nothing else; None for a network whose attention shows nothing.

    model   the network, which stays as it is
    images  a path, several paths or a folder; or a batch b c h w, prepared for the network's input
    Raises InputError for images that cannot be read.
    """
    if not sites_of(model):
        return None
    gathered = gather(model, images)
    sections = _of_attention(gathered, choose(gathered, None)) if gathered.seen else []
    return Look(model.spec.name, _lead(model, gathered), tuple(sections)) if sections else None


def _nothing(model: ComposedModule, what: str) -> InputError:
    name = model.spec.name
    help = (
        f"put some in: a spec with `backbone: {name}` and a rule such as `{{use: cbam, after: branch}}`",
        "a plugin shows its own through a method `attention(x)`",
        "name a node (`--node PATH`) to see its receptive field alone",
    )
    return InputError(Diagnostic("look", f"`{name}` {what}", help=help))


def _sections(
    gathered: Gathered,
    chance: Chance,
    paths: Sequence[str],
    patch: Patch | None,
    target: int | str | None,
    classes: Sequence[str] | None,
) -> list[Section]:
    # All requests are checked before slow work begins.
    chosen = choose(gathered, patch)
    wanted = choose_classes(None if target is None else str(target), gathered, classes)
    found: list[Section | None] = list(_of_attention(gathered, chosen, chance))
    found += [class_section(gathered, wanted), fields_section(gathered.model, paths)]
    return [section for section in found if section is not None]


def _of_attention(gathered: Gathered, chosen: Chosen | None, chance: Chance | None = None) -> list[Section]:
    mechanisms = dict.fromkeys(one.form.site.mechanism for one in gathered.seen)
    found: list[Section | None] = []
    for name in mechanisms:
        found += [
            gates_section(gathered, name),
            spatial_section(gathered, name, chance),
            elements_section(gathered, name, chance),
            branches_section(gathered, name),
            routing_section(gathered, name),
            tokens_section(gathered, name, chosen, chance),
        ]
    found += [rollout_section(gathered, chosen, chance), other_section(gathered)]
    # Of attention to which only zeros come, nothing else is said.
    told = [section.without(gathered.unfed) for section in found if section is not None]
    sites = sites_section(gathered)
    return told if sites is None else [sites, *told]


def _lead(model: ComposedModule, gathered: Gathered) -> tuple[str, ...]:
    count = len(gathered.names)
    drawn = f"; figures show the first {len(gathered.photos)}" if count > len(gathered.photos) else ""
    images = gathered.names[0] if count == 1 else f"{count} images{drawn}"
    edits = [f"Changed by hand since it was composed: {edit}." for edit in model.graph.edits]
    return *edits, f"{model.spec.name} on {images}, in eval mode and float32.", _weights(model)


def _weights(model: ComposedModule) -> str:
    report = model.weights_report
    if report is None:
        return (
            f"Its weights are those it was drawn with (seed {model.seed}), unless it was trained or filled since: of "
            "random weights, what follows describes the beginning, not anything learnt."
        )
    source = report.source.strip("`")
    # Without the folder, which is private.
    text = f"Its weights are those of `{source if hub_of(source) else Path(source).name}`."
    if report.inserted:
        text += (
            f" {plural(len(report.inserted), 'tensor')} that attention put in "
            f"{'is' if len(report.inserted) == 1 else 'are'} not among them, so that this attention is as "
            "it was drawn: what follows describes its beginning, not anything learnt."
        )
    if report.preparation:
        text += f" Images are prepared with {report.preparation}."
    return text
