"""`composer eject`: a network as one PyTorch file that needs no composer."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import Annotated

import typer

from composer.cli.options import Budget, Force, Reading, Saying, SpecName, check_output, say, write
from composer.cli.progress import stage
from composer.cli.spread import spread

_STDOUT = Path("-")


class To(enum.StrEnum):
    """What the file is for: PyTorch alone, or timm's registry."""

    TORCH = "torch"
    TIMM = "timm"


@spread
def command(
    context: typer.Context,
    *,
    spec: SpecName,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="`-` is stdout.")] = _STDOUT,
    to: Annotated[
        To, typer.Option("--to", help="`timm`: the file registers the network with timm as well.")
    ] = To.TORCH,
    test: Annotated[
        Path | None,
        typer.Option("--test", metavar="FILE", help="Also write a test that the file computes what the spec says."),
    ] = None,
    force: Force = False,
    reading: Reading,
    budget: Budget,
    saying: Saying,
) -> None:
    """Write a network as one formatted PyTorch file that needs no composer.

    It holds a class per form of block, with the repeats written once, and the sources of exactly the mechanisms that
    the network uses. The keys of its state_dict are those of the composed network, and so are its outputs and
    gradients, bit for bit.
    """
    if test is not None and str(output) == "-":
        raise typer.BadParameter("a test imports the file: name it, `-o FILE.py`", param_hint="--test")
    targets = [output, *([test] if test is not None else [])]
    for target in targets:
        check_output(target, force=force)
    if test is not None and test.absolute() == output.absolute():
        raise typer.BadParameter("the test is a file of its own", param_hint="--test")
    network = reading.compose(context, spec, budget, weights=False)
    with stage(context, f"writing {network.spec.name}"):
        from composer.ejecting import eject, proof_of

        text = eject(network, spec, timm=to is To.TIMM)
        proof = (
            None
            if test is None
            else proof_of(network, spec, output, test, sets=reading.sets or (), plugins=reading.plugin or ())
        )
    if proof is None or test is None:
        write(context, output, text.encode(), force=force)
        return
    from composer.files import staged

    with staged(targets, force=force) as (path, beside):
        path.write_text(text, encoding="utf-8")
        beside.write_text(proof, encoding="utf-8")
    say(context, f"wrote {output} and {test}")
