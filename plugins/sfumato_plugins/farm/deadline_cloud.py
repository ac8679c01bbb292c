"""A job bundle for AWS Deadline Cloud: a folder with the template, its values, and the files that go with the job."""

from __future__ import annotations

from sfumato_plugins.farm.openjd import template
from sfumato_plugins.farm.sheet import Sheet
from sfumato_plugins.farm.text import to_yaml


def files(given: Sheet, out: str) -> dict[str, str]:
    values = {
        "JobFile": given.path,
        "deadline:priority": given.options.priority,
        "deadline:targetTaskRunStatus": "READY",
        "deadline:maxFailedTasksCount": 20,
        "deadline:maxRetriesPerTask": given.options.retries,
    }
    inputs = {"filenames": [given.path, *given.inputs()], "directories": []}
    assets = {"inputs": inputs, "outputs": {"directories": given.output_folders()}, "referencedPaths": []}
    listed = [{"name": name, "value": value} for name, value in values.items()]
    return {
        "template.yaml": to_yaml(template(given, "")),
        "parameter_values.yaml": to_yaml({"parameterValues": listed}),
        "asset_references.yaml": to_yaml({"assetReferences": assets}),
    }


def next_step(written: list[str], job_path: str) -> str:
    import os

    return f"deadline bundle submit {os.path.dirname(written[0])}"
