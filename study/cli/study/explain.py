"""`cpc study explain` and `cpc study schema`: the settings of a spec."""

from __future__ import annotations

from typing import Annotated, Literal

from cyclopts import Parameter

from study.cli.output import Output, next_steps, print_record, print_rows


def explain(setting: str | None = None, /, *, output: Output = "table") -> None:
    """Prints meaning, type, allowed values, default, unit and source of a setting of a spec.

    Parameters
    ----------
    setting
        Its path, such as sampler.trials, base.encoder.width or space.temperature; without one, all
        of them are listed.
    """
    from study.spec.explain import explain as explained
    from study.spec.explain import settings

    if setting is not None:
        print_record(vars(explained(setting)), output)
        return
    columns = ("setting", "type", "allowed", "default", "unit")
    rows = [vars(explained(each)) for each in settings()]
    print_rows([{column: row[column] for column in columns} for row in rows], output)
    next_steps("cpc study explain space.temperature")


def schema(
    *, output: Annotated[Literal["json", "yaml"], Parameter(name=["--output", "-o"])] = "json"
) -> None:
    """Prints the JSON Schema of a spec, with which editors complete and check YAML.

    Parameters
    ----------
    output
        Format of the result.
    """
    from study.spec.explain import spec_schema

    print_record(spec_schema(), output)
