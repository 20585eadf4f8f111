"""`cpc study explain` and `cpc study schema`: what a spec may say."""

from __future__ import annotations

from typing import Annotated, Literal

from cyclopts import Parameter

from study.cli.output import Format, emit_document, emit_one, next_steps, print_rows


def explain(
    setting: str | None = None,
    /,
    *,
    output: Annotated[Format, Parameter(name=["--output", "-o"])] = "table",
) -> None:
    """Explain a setting of a spec: what it means, its type, allowed values, default, unit and
    source.

    Parameters
    ----------
    setting
        Its path, such as sampler.trials, base.encoder.width or space.temperature; without one, all
        of them are listed.
    output
        Format of the result.
    """
    from study.spec.explain import explain as explained
    from study.spec.explain import settings

    if setting is not None:
        emit_one(vars(explained(setting)), output)
        return
    columns = ("setting", "type", "allowed", "default", "unit")
    print_rows(
        [{column: vars(row)[column] for column in columns} for row in map(explained, settings())],
        output,
    )
    next_steps("cpc study explain space.temperature")


def schema(
    *, output: Annotated[Literal["json", "yaml"], Parameter(name=["--output", "-o"])] = "json"
) -> None:
    """Print the JSON Schema of a spec, for editors that complete and check YAML.

    Parameters
    ----------
    output
        Format of the result.
    """
    from study.spec.explain import spec_schema

    emit_document(spec_schema(), output)
