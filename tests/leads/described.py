"""Holds an answer of the API against its description."""

from __future__ import annotations

import json
from typing import Any

from django.http import HttpResponse

from leads.openapi import OPENAPI

ANSWERS = OPENAPI["paths"]["/api/leads/"]["post"]["responses"]
SCHEMAS = OPENAPI["components"]["schemas"]
TYPES = {"object": dict, "array": list, "string": str, "boolean": bool}


def assert_described(response: HttpResponse) -> None:
    """The status, the headers and the content are those that the description names."""
    answer = ANSWERS[str(response.status_code)]
    assert set(answer.get("headers", {})) <= set(response.headers)
    assert response.headers["Content-Type"] == "application/json"
    name = answer["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
    assert_fits(json.loads(response.content), SCHEMAS[name])


def assert_fits(value: Any, schema: dict[str, Any]) -> None:
    """The value is of the schema, and has no field that the schema does not name."""
    assert isinstance(value, TYPES[schema["type"]])
    if isinstance(value, str):
        assert value in schema.get("enum", [value])
    if isinstance(value, list):
        for item in value:
            assert_fits(item, schema["items"])
    if isinstance(value, dict):
        assert set(schema.get("required", ())) <= set(value)
        known = schema.get("properties", {})
        for name, inner in value.items():
            assert_fits(inner, known[name] if name in known else schema["additionalProperties"])
