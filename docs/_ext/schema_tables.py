"""The directive `schema`: the fields of a JSON Schema of docs/schemas, as a table.

    ```{schema} plan
    ```

A field within a field is written with a dot, and [] stands for each element of a list.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from docutils import nodes
from sphinx.util.docutils import SphinxDirective


class Row(NamedTuple):
    """A field: its path, its type in words, what it is."""

    path: str
    type: str
    text: str


class Schemas:
    """The schemas of a folder; what one refers to in another is followed."""

    def __init__(self, folder: Path) -> None:
        self.files = {
            file.name: json.loads(file.read_text(encoding="utf-8"))
            for file in sorted(folder.glob("*.json"))
        }

    def followed(self, schema: dict, name: str) -> tuple[dict, str]:
        """What a reference leads to, and the file that it stands in."""
        if "$ref" not in schema:
            return schema, name
        file, _, place = schema["$ref"].partition("#")
        name = file or name
        found = self.files[name]
        for part in filter(None, place.split("/")):
            found = found[part]
        return found, name

    def rows(self, schema: dict, name: str, path: str = "", seen: tuple = ()) -> Iterator[Row]:
        """The fields of a schema and of what stands within; another file has a table of its own."""
        schema, name = self.followed(schema, name)
        for key, field in schema.get("properties", {}).items():
            own = key not in schema["required"]
            found, place = self.followed(field, name)
            text = field.get("description") or found.get("description", "")
            where = f"{path}{key}"
            words = self.words(field, name)
            yield Row(where, f"{words}; may be absent" if own else words, text)
            yield from self.within(field, name, where, seen)

    def within(self, field: dict, name: str, path: str, seen: tuple) -> Iterator[Row]:
        """The fields of what a field holds, unless these stand in another file's table."""
        for inner, mark in holds(field):
            place = inner.get("$ref", "")
            if place in seen or place and not place.startswith("#"):
                continue
            way = f"{path}{mark}"
            into = f"{way}." if way else ""
            yield from self.rows(inner, name, into, (*seen, place) if place else seen)

    def words(self, field: dict, name: str) -> str:
        """The type of a field, in words."""
        if "$ref" in field and not field["$ref"].startswith("#"):
            file, _, part = field["$ref"].partition("#/$defs/")
            label = f"{file.removesuffix('.json')}, {part}" if part else file.removesuffix(".json")
            return f"[{label}](#json-{file.removesuffix('.json')})"
        found, name = self.followed(field, name)
        if "enum" in found:
            return " or ".join(f"`{json.dumps(each)}`" for each in found["enum"])
        if "const" in found:
            return f"`{json.dumps(found['const'])}`"
        if "anyOf" in found:
            return " or ".join(dict.fromkeys(self.words(each, name) for each in found["anyOf"]))
        kinds = found.get("type", "any")
        kinds = [kinds] if isinstance(kinds, str) else kinds
        return " or ".join(self.word(kind, found, name) for kind in kinds)

    def word(self, kind: str, found: dict, name: str) -> str:
        """One type, with that of its elements."""
        if kind == "array":
            return (
                f"list of {several(self.words(found['items'], name))}"
                if "items" in found
                else "list"
            )
        more = found.get("additionalProperties")
        if kind == "object" and isinstance(more, dict):
            return f"object: name to {self.words(more, name)}"
        return kind


def several(words: str) -> str:
    """The words for one value, for several."""
    return re.sub(r"^(object|string|integer|number|list)", r"\1s", words)


def holds(field: dict) -> Iterator[tuple[dict, str]]:
    """The schemas of objects in a field, each with what stands for the way to them."""
    if "$ref" in field or "properties" in field:
        yield field, ""
    for each in field.get("anyOf", ()):
        yield from holds(each)
    if isinstance(field.get("items"), dict):
        yield from ((inner, f"[]{mark}") for inner, mark in holds(field["items"]))
    if isinstance(field.get("additionalProperties"), dict):
        inner = field["additionalProperties"]
        yield from ((each, f".*{mark}") for each, mark in holds(inner))


def cell(text: str) -> str:
    """Text within a table of Markdown."""
    return text.replace("|", "\\|").replace("*", "\\*") if "`" not in text else text


class SchemaTable(SphinxDirective):
    """A section's worth of a schema: what it is of, a link to the file, and its fields."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """The text and the table."""
        folder = Path(self.env.srcdir) / "schemas"
        name = f"{self.arguments[0]}.json"
        for file in folder.glob("*.json"):
            self.env.note_dependency(str(file))
        schemas = Schemas(folder)
        schema = schemas.files[name]
        lines = [f"{schema['description']} {{download}}`{name} <schemas/{name}>`", ""]
        plain = "properties" in schema
        rows = [*(schemas.rows(schema, name) if plain else schemas.within(schema, name, "", ()))]
        if not rows:
            lines += [f"It is a {schemas.words(schema, name)}.", ""]
        else:
            lines += ["| field | type | what it is |", "|---|---|---|"]
            seen: set[str] = set()
            for row in rows:
                if row.path in seen:  # the fields of another kind of object begin
                    lines.append("| or | | |")
                    seen.clear()
                seen.add(row.path)
                lines.append(f"| `{row.path}` | {row.type} | {cell(row.text)} |")
        holder = nodes.container()
        self.state.nested_parse(lines, self.content_offset, holder)
        return holder.children


def setup(app) -> dict:
    """Adds the directive."""
    app.add_directive("schema", SchemaTable)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
