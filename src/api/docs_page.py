"""``/docs``: the API for people, made from its OpenAPI description. One plain page without scripts and other hosts.

FastAPI's own page loads Swagger UI from a host elsewhere; this one works without a network.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, Response

PATH = "/docs"
STYLE_PATH = "/docs/style.css"
OPENAPI_PATH = "/openapi.json"

_METHODS = ("get", "post", "put", "patch", "delete")
_POLICY = {"Content-Security-Policy": "default-src 'none'; style-src 'self'; frame-ancestors 'none'"}
_STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 0 auto; padding: 1rem; }
h2 { margin-top: 2.5rem; text-transform: capitalize; }
h3 { font: 600 1rem/1.4 ui-monospace, monospace; margin: 1.5rem 0 0.25rem; overflow-wrap: anywhere; }
h3 b { display: inline-block; min-width: 4.5rem; }
table { border-collapse: collapse; width: 100%; margin: 0.5rem 0; font-size: 0.9rem; }
th, td { text-align: left; vertical-align: top; padding: 0.25rem 0.75rem 0.25rem 0; border-bottom: 1px solid #8884; }
code { font: 0.9em ui-monospace, monospace; }
pre { white-space: pre-wrap; }
"""

router = APIRouter(include_in_schema=False)


@router.get(PATH)
async def docs(request: Request) -> HTMLResponse:
    """Every operation with its parameters and answers."""
    return HTMLResponse(page(request.app.openapi()), headers=_POLICY)


@router.get(STYLE_PATH)
async def style() -> Response:
    return Response(_STYLE, media_type="text/css")


def page(openapi: Mapping[str, Any]) -> str:
    """The page as HTML."""
    info = openapi["info"]
    schemas = openapi.get("components", {}).get("schemas", {})
    groups: dict[str, list[str]] = {}
    for path, methods in openapi["paths"].items():
        for method in (name for name in _METHODS if name in methods):
            operation = methods[method]
            tag = next(iter(operation.get("tags", ())), "other")
            groups.setdefault(tag, []).append(_operation(method, path, operation, schemas))
    body = "".join(
        f"<h2 id='{escape(tag)}'>{escape(tag)}</h2>{''.join(found)}" for tag, found in groups.items()
    )
    links = " · ".join(f"<a href='#{escape(tag)}'>{escape(tag)}</a>" for tag in groups)
    return (
        f"<!doctype html><html lang='en'><head><meta charset='utf-8'><title>{escape(info['title'])} API</title>"
        "<meta name='viewport' content='width=device-width'>"
        f"<link rel='stylesheet' href='{STYLE_PATH}'></head><body><h1>{escape(info['title'])} API</h1>"
        f"{_paragraphs(info.get('description', ''))}<p>{links} · <a href='{OPENAPI_PATH}'>OpenAPI</a></p>"
        f"{body}</body></html>"
    )


def _operation(method: str, path: str, operation: Mapping[str, Any], schemas: Mapping[str, Any]) -> str:
    rows = [
        (item["name"], item["in"], item.get("required", False), item["schema"], item.get("description", ""))
        for item in operation.get("parameters", ())
    ]
    rows += _fields("body", _content(operation.get("requestBody", {})), schemas)
    answers = [
        (status, found.get("description", ""), _type(_content(found)))
        for status, found in operation.get("responses", {}).items()
        if status not in ("4XX", "5XX")
    ]
    return (
        f"<h3><b>{method.upper()}</b> {escape(path)}</h3>{_paragraphs(operation.get('description', ''))}"
        + _table(("field", "in", "type", "what"), (_row(row) for row in rows))
        + _table(("answer", "what", "type"), ((str(a), escape(b), c) for a, b, c in answers))
    )


def _row(row: tuple[str, str, bool, Mapping[str, Any], str]) -> tuple[str, ...]:
    name, where, required, schema, text = row
    needed = " <b>needed</b>" if required else ""
    default = schema.get("default")
    said = (
        f" Default: <code>{escape(json.dumps(default, ensure_ascii=False))}</code>."
        if default is not None
        else ""
    )
    return f"<code>{escape(name)}</code>{needed}", where, _type(schema), escape(text) + said


def _fields(
    where: str, schema: Mapping[str, Any], schemas: Mapping[str, Any]
) -> Iterator[tuple[str, str, bool, Mapping[str, Any], str]]:
    whole = _resolved(schema, schemas)
    for name, field in whole.get("properties", {}).items():
        yield name, where, name in whole.get("required", ()), field, field.get("description", "")


def _content(found: Mapping[str, Any]) -> Mapping[str, Any]:
    for kind in found.get("content", {}).values():
        schema = kind.get("schema", {})
        return schema if isinstance(schema, Mapping) else {}
    return {}


def _resolved(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> Mapping[str, Any]:
    name = schema.get("$ref", "").rpartition("/")[2]
    found = schemas.get(name, schema)
    return found if isinstance(found, Mapping) else {}


def _type(schema: Mapping[str, Any]) -> str:
    if "$ref" in schema:
        return escape(schema["$ref"].rpartition("/")[2])
    if "enum" in schema:
        return escape(" | ".join(map(str, schema["enum"])))
    if "const" in schema:
        return escape(str(schema["const"]))
    if several := schema.get("anyOf") or schema.get("oneOf"):
        return " or ".join(dict.fromkeys(map(_type, several)))
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    bounds = [
        f"{sign} {schema[key]}"
        for key, sign in (
            ("minimum", "≥"),
            ("exclusiveMinimum", ">"),
            ("maximum", "≤"),
            ("maxLength", "length ≤"),
        )
        if key in schema
    ]
    return escape(" ".join([str(schema.get("type", "")), ", ".join(bounds)]).strip())


def _table(head: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> str:
    lines = ["<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows]
    if not lines:
        return ""
    return "<table><tr>" + "".join(f"<th>{word}</th>" for word in head) + f"</tr>{''.join(lines)}</table>"


def _paragraphs(text: str) -> str:
    return "".join(f"<p>{escape(part)}</p>" for part in text.split("\n\n") if part.strip())
