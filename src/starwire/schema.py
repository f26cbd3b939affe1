"""What an app's commands, views, events and processes look like, from their annotations.

``describe`` gives JSON Schema; ``declarations`` gives TypeScript, made from the same schemas, so that the two
cannot disagree.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from starwire import kinds
from starwire.app import ProcessKind, Registry

Schema = dict[str, Any]


def describe(registry: Registry) -> Schema:
    """JSON Schema of everything an app declares: ``{"commands": {name: {"schema", "result", "doc"}}, …}``."""
    return {
        "commands": {
            kind.name: {
                "schema": _schema(kind.struct),
                "result": _schema(kind.result),
                "doc": _doc(kind.handler, kind.struct),
                "requires": kind.requires,
            }
            for kind in registry.commands.values()
            if not is_internal(kind.requires)
        },
        "views": {
            kind.name: {
                "schema": _schema(kind.struct),
                "result": _schema(kind.result),
                "doc": _doc(kind.handler, kind.struct),
                "requires": kind.requires,
            }
            for kind in registry.views.values()
        },
        "events": {
            name: {"schema": _schema(struct), "doc": _doc(struct)}
            for name, struct in events_of(registry).items()
        },
        "processes": {
            kind.name: {
                "schema": _schema(kind.struct),
                "public": list(kind.struct.public),
                "doc": _doc(kind.handler, kind.struct),
            }
            for kind in processes_of(registry)
        },
    }


def events_of(registry: Registry) -> dict[str, type[kinds.Event]]:
    """The events that were declared, and those that lie in the handlers' modules or beside them."""
    declared = [
        *(kind.handler for kind in registry.commands.values()),
        *(kind.handler for kind in registry.views.values()),
        *(kind.handler for kind in registry.processes.values()),
    ]
    homes = {each.__module__ for each in declared if not each.__module__.startswith("starwire.")}
    packages = tuple(f"{home.rpartition('.')[0]}." for home in homes if "." in home)
    found = {
        kinds.wire_name(struct): struct
        for struct in _subclasses(kinds.Event)
        if struct.__module__ in homes or struct.__module__.startswith(packages)
    }
    return {**registry.events, **dict(sorted(found.items()))}


def processes_of(registry: Registry) -> list[ProcessKind]:
    """The game's processes; those of the framework's own are nobody's business."""
    return [
        kind for kind in registry.processes.values() if not kind.handler.__module__.startswith("starwire.")
    ]


def _subclasses(of: type[kinds.Event]) -> Iterator[type[kinds.Event]]:
    for each in of.__subclasses__():
        yield each
        yield from _subclasses(each)


def is_internal(requires: str | None) -> bool:
    """Whether a command is submitted by the server only; clients need not know of it."""
    return requires is not None and requires.startswith("starwire:")


def _schema(of: Any) -> Schema:
    try:
        return msgspec.json.schema(of)
    except TypeError:  # a type of which msgspec knows no schema says nothing about its JSON
        return {}


def _doc(*of: Any) -> str:
    for each in of:
        text = each.__doc__  # not inherited: what a base class says is about the base class
        if text and not (isinstance(each, type) and text == each.__base__.__doc__):
            return inspect.cleandoc(text)
    return ""


# TypeScript


def declarations(registry: Registry) -> str:
    """The ``.d.ts`` of an app: interfaces for its types, and maps from wire names to them."""
    public = {kind.name: _public(kind.struct) for kind in processes_of(registry)}
    events = events_of(registry)
    commands = [kind for kind in registry.commands.values() if not is_internal(kind.requires)]
    asked: list[Any] = []
    for command in commands:
        asked += [command.struct, command.result]
    for view in registry.views.values():
        asked += [view.struct, view.result]
    asked += [*events.values(), *(struct for struct in public.values() if struct is not None)]
    known = [each for each in asked if _schema(each)]
    schemas, components = msgspec.json.schema_components(known, ref_template="{name}")
    types = {id(each): typescript(schema) for each, schema in zip(known, schemas, strict=True)}

    def of(each: Any) -> str:
        return types.get(id(each), "unknown")

    parts = [f"// Types of {registry.name}, written by `starwire types`; do not edit."]
    parts += [_declaration(name, schema) for name, schema in sorted(components.items())]
    parts.append(
        _map("Commands", ((k.name, _pair(of(k.struct), of(k.result)), _doc(k.handler)) for k in commands))
    )
    views = registry.views.values()
    parts.append(_map("Views", ((k.name, _pair(of(k.struct), of(k.result)), _doc(k.handler)) for k in views)))
    parts.append(_map("Events", ((name, of(each), _doc(each)) for name, each in events.items())))
    parts.append(
        _map(
            "Processes",
            (
                (name, "Record<string, never>" if struct is None else of(struct), "")
                for name, struct in public.items()
            ),
        )
    )
    return "\n\n".join(parts) + "\n"


def typescript(schema: Schema) -> str:
    """The TypeScript type of a JSON Schema, as msgspec makes them."""
    if "$ref" in schema:
        return _identifier(schema["$ref"])
    if "enum" in schema:
        return " | ".join(_literal(each) for each in schema["enum"])
    if "const" in schema:
        return _literal(schema["const"])
    for word in ("anyOf", "oneOf"):
        if word in schema:
            return " | ".join(dict.fromkeys(typescript(each) for each in schema[word]))
    kind = schema.get("type")
    if kind == "array":
        return _array(schema)
    if kind == "object":
        if "properties" in schema:
            return _object(schema)
        return f"Record<string, {typescript(schema.get('additionalProperties') or {})}>"
    return {
        "integer": "number",
        "number": "number",
        "string": "string",
        "boolean": "boolean",
        "null": "null",
    }.get(str(kind), "unknown")


def _array(schema: Schema) -> str:
    items = schema.get("prefixItems")
    if items is not None:
        return f"[{', '.join(typescript(each) for each in items)}]"
    inner = typescript(schema.get("items") or {})
    return f"({inner})[]" if " | " in inner else f"{inner}[]"


def _object(schema: Schema) -> str:
    required = schema.get("required", [])
    lines = [
        f"{_key(name)}{'' if name in required else '?'}: {typescript(each)};"
        for name, each in schema["properties"].items()
    ]
    return "{ " + " ".join(lines) + " }" if lines else "Record<string, never>"


def _declaration(name: str, schema: Schema) -> str:
    comment = _comment(schema.get("description", ""))
    identifier = _identifier(name)
    if schema.get("type") != "object" or not schema.get("properties"):
        return f"{comment}export type {identifier} = {typescript(schema)};"
    required = schema.get("required", [])
    fields = []
    for field, each in schema["properties"].items():
        optional = "" if field in required else "?"
        fields.append(
            f"{_comment(each.get('description', ''), '  ')}  {_key(field)}{optional}: {typescript(each)};"
        )
    return f"{comment}export interface {identifier} {{\n" + "\n".join(fields) + "\n}"


def _map(name: str, entries: Iterable[tuple[str, str, str]]) -> str:
    lines = [f"{_comment(doc, '  ')}  {_key(key)}: {value};" for key, value, doc in entries]
    return f"export interface {name} {{\n" + "".join(f"{line}\n" for line in lines) + "}"


def _pair(args: str, result: str) -> str:
    return f"{{ args: {args}; result: {result} }}"


def _public(struct: type[kinds.Process]) -> type[msgspec.Struct] | None:
    """A struct of the fields that lifecycle events carry."""
    fields = [
        (each.name, each.type) for each in msgspec.structs.fields(struct) if each.encode_name in struct.public
    ]
    return msgspec.defstruct(f"{struct.__name__}Process", fields) if fields else None


def _comment(text: str, indent: str = "") -> str:
    if not text:
        return ""
    lines = text.replace("*/", "* /").strip().splitlines()
    if len(lines) == 1:
        return f"{indent}/** {lines[0]} */\n"
    return (
        f"{indent}/**\n" + "".join(f"{indent} * {line}".rstrip() + "\n" for line in lines) + f"{indent} */\n"
    )


def _identifier(name: str) -> str:
    return re.sub(r"\W+", "_", name).strip("_")


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z_$][\w$]*", name) else _literal(name)


def _literal(value: Any) -> str:
    return msgspec.json.encode(value).decode()
