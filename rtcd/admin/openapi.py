"""The description of the API, OpenAPI 3.1, made of the table of routes and the shapes.

``python -m rtcd.admin.openapi > rtcd/admin/openapi.json`` writes the file that is shipped; a test holds the two together.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import msgspec

from rtcd.admin.keys import SCOPES
from rtcd.admin.problem import MEDIA_TYPE, TITLES
from rtcd.admin.routes import JSON, PARAMETERS, ROUTES, TEXT, Route
from rtcd.admin.shapes import ProblemBody

REF = "#/components/schemas/{name}"
ABOUT = ("Looks after rtcd. On the unix socket whoever may write to it may do everything; by HTTPS a caller shows a bearer "
         "token, an API key or a JSON Web Token, or has a session. A request with a session that changes something has to "
         "say that its body is JSON, or have a header X-Requested-With.")


def describe() -> dict[str, Any]:
    """The whole document."""
    kinds = [one for route in ROUTES for one in (route.body, route.query, route.answer) if one is not None]
    kinds = [*dict.fromkeys(one for one in kinds if isinstance(one, type)), ProblemBody]
    _, schemas = msgspec.json.schema_components(kinds, ref_template=REF)
    paths: dict[str, dict[str, Any]] = {}
    for route in ROUTES:
        paths.setdefault(f"/admin{route.path}", {})[route.method.lower()] = _operation(route)
    problem = {MEDIA_TYPE: {"schema": {"$ref": REF.format(name="ProblemBody")}}}
    queries = {one.query.__name__ for one in ROUTES if one.query is not None}
    return {
        "openapi": "3.1.0",
        "info": {"title": "rtcd", "version": "1", "description": ABOUT, "license": {
            "name": "Apache-2.0", "identifier": "Apache-2.0"}},
        "servers": [{"url": "/"}],
        "security": [{"bearer": []}, {"session": []}],
        "paths": paths,
        "components": {
            "schemas": {name: one for name, one in sorted(schemas.items()) if name not in queries},
            "responses": {str(status): {"description": title, "content": problem} for status, title in TITLES.items()},
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "session": {"type": "apiKey", "in": "cookie", "name": "__Host-rtcd-admin"},
            },
        },
    }


def text() -> str:
    """As it is shipped."""
    return json.dumps(describe(), indent=1, ensure_ascii=False) + "\n"


def _operation(route: Route) -> dict[str, Any]:
    found: dict[str, Any] = {"operationId": route.operation, "summary": route.summary, "tags": [route.parts[0]]}
    if route.scope == "-":
        found["security"] = []
    elif route.scope:
        found["description"] = f"Needs the scope {route.scope}: {SCOPES[route.scope]}."
    parameters = [{"name": part[1:-1], "in": "path", "required": True, "schema": PARAMETERS[part[1:-1]]}
                  for part in route.parts if part.startswith("{")]
    if route.query is not None:
        _, schemas = msgspec.json.schema_components([route.query])
        for name, schema in schemas[route.query.__name__]["properties"].items():
            parameters.append({"name": name, "in": "query", "required": False, "schema": _without_null(schema)})
    if parameters:
        found["parameters"] = parameters
    if route.body is not None:
        found["requestBody"] = {"required": True, "content": {JSON: {"schema": _schema(route.body)}}}
    found["responses"] = _responses(route)
    return found


def _responses(route: Route) -> dict[str, Any]:
    if route.status == 204:
        good: dict[str, Any] = {"description": "Done"}
    elif route.kind == TEXT:
        good = {"description": "Done", "content": {TEXT: {"schema": {"type": "string"}}}}
    else:
        good = {"description": "Done", "content": {JSON: {"schema": _schema(route.answer)}}}
    if route.status == 201 and route.operation == "create_room":
        good["headers"] = {"Location": {"description": "The room", "schema": {"type": "string"}}}
    errors = {400, 401, 403, 429, *route.errors, *((413, 415) if route.body is not None or route.method != "GET" else ())}
    return {str(route.status): good} | {str(one): {"$ref": f"#/components/responses/{one}"} for one in sorted(errors)}


def _schema(kind: Any) -> dict[str, Any]:
    (found,), _ = msgspec.json.schema_components([kind], ref_template=REF)
    return found


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """A parameter that may be left out has no value that says so."""
    kinds = [one for one in schema.get("anyOf", ()) if one.get("type") != "null"]
    return kinds[0] if len(kinds) == 1 else schema


if __name__ == "__main__":
    sys.stdout.write(text())
