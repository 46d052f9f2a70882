"""What Airflow's providers manager asks for."""

from __future__ import annotations

from typing import Any

from airflow_midjourney._version import __version__


def _number(label: str, description: str, *, minimum: float = 0, whole: bool = False) -> dict[str, Any]:
    kind = "integer" if whole else "number"
    return {
        "label": label,
        "description": description,
        "schema": {"type": [kind, "null"], "minimum": minimum},
    }


def _text(label: str, description: str, **schema: Any) -> dict[str, Any]:
    return {"label": label, "description": description, "schema": {"type": ["string", "null"], **schema}}


def _connection_fields() -> dict[str, Any]:
    """Give the form's fields; their names are those of the connection's extra."""
    return {
        "auth": _text(
            "How the key is sent",
            "bearer: both ways that gateways read it; secret: mj-api-secret alone; token: a bare Authorization",
            enum=["bearer", "secret", "token"],
            default="bearer",
        ),
        "account": _text("Account", "A fixed name, so that slots and caps survive a new key"),
        "max_in_flight": _number("Images at once", "Over all runs and processes; 12 if empty", minimum=1, whole=True),
        "max_submissions_per_day": _number("Submissions a day", "UTC days; no cap if empty", minimum=1, whole=True),
        "max_cost_per_day": _number("Cost a day", "UTC days, in the currency of the price; no cap if empty"),
        "submit_window": _text(
            "Hours to submit in", "Such as 22:00-06:00 Europe/Berlin, several separated by commas; any time if empty"
        ),
        "price": _number("Price", "What one accepted image costs"),
        "currency": _text("Currency", "Of the price, for instance USD"),
        "refunds_failures": _text(
            "Refunds failures",
            "true where the service gives the money back for tasks that fail, as new-api does",
            enum=["true", "false"],
            default="false",
        ),
        "timeout": _number("Request timeout", "Seconds that one request may take in all; 60 if empty", minimum=1),
        "task_timeout": _number("Task timeout", "Seconds a describe may take from its start; 1800 if empty", minimum=1),
        "verify": _text("TLS certificates", "false to accept any, or the path of a CA bundle"),
        "allowed_uris": _text("Allowed images", "Patterns such as s3://bucket/prefix/*, separated by commas"),
        "allowed_targets": _text(
            "Allowed targets of exports", "Patterns such as s3://exports/*, separated by commas; everywhere if empty"
        ),
        "callback_url": _text(
            "Callback URL", "Where the service reports changes, such as https://airflow/midjourney-callbacks"
        ),
    }


def get_provider_info() -> dict[str, Any]:
    """Describe this provider: connection type and form, modules, configuration."""
    package = "airflow_midjourney"
    return {
        "package-name": "airflow-provider-midjourney",
        "name": "Midjourney describe",
        "description": "Describe the images of an S3 prefix, and pay for each one once.",
        "versions": [__version__],
        "integrations": [
            {
                "integration-name": "Midjourney describe",
                "external-doc-url": "https://github.com/novicezk/midjourney-proxy",
                "how-to-guide": [
                    "/docs/tutorial.md",
                    "/docs/dags.md",
                    "/docs/export/README.md",
                    "/docs/pages.md",
                    "/docs/deploy.md",
                    "/docs/runbook.md",
                ],
                "tags": ["service"],
            }
        ],
        "hooks": [_modules(f"{package}.hooks.midjourney")],
        "operators": [
            _modules(
                f"{package}.operators.describe",
                f"{package}.operators.describe_group",
                f"{package}.operators.export",
                f"{package}.operators.import_reviews",
                f"{package}.operators.pause",
                f"{package}.operators.purge",
                f"{package}.operators.reparse",
                f"{package}.operators.resolve",
            )
        ],
        "sensors": [_modules(f"{package}.sensors.describe")],
        "triggers": [_modules(f"{package}.triggers.describe")],
        "extra-links": [f"{package}.links.BatchLink"],
        "connection-types": [
            {
                "connection-type": "midjourney",
                "hook-class-name": f"{package}.hooks.midjourney.MidjourneyHook",
                "hook-name": "Midjourney (describe)",
                "ui-field-behaviour": {
                    "hidden-fields": ["schema", "login", "port", "extra"],
                    "relabeling": {"host": "Service address", "password": "API key"},
                    "placeholders": {"host": "https://api.example.com/mj"},
                },
                "conn-fields": _connection_fields(),
            }
        ],
        "config": {"midjourney": _configuration()},
    }


def _modules(*modules: str) -> dict[str, Any]:
    return {"integration-name": "Midjourney describe", "python-modules": list(modules)}


def _configuration() -> dict[str, Any]:
    return {
        "description": "The metadata table. Every process of a deployment has to see the same values.",
        "options": {
            "table": _option("string", "image_prompts", "Name of the metadata table; others are named after it."),
            "schema": _option("string", "", "Its database schema; empty for the connection's default."),
            "manage_schema": _option("boolean", "True", "Whether the tables are made on first use."),
            "poll_interval": _option(
                "float",
                "3.0",
                "Seconds between two polls of an account while answers may come at any time. For answers that are due"
                " two polls may be as close as a sixth of it.",
            ),
            "callbacks": _option(
                "boolean",
                "False",
                "Whether the API server takes the service's callbacks below /midjourney-callbacks, and submissions"
                " ask for them where the connection has a callback_url.",
            ),
            "gallery_images": _option(
                "boolean", "True", "Whether the pages show pictures, which the API server reads from S3."
            ),
        },
    }


def _option(kind: str, default: str, description: str) -> dict[str, Any]:
    return {
        "description": description,
        "version_added": "0.1.0",
        "type": kind,
        "example": None,
        "default": default,
    }
