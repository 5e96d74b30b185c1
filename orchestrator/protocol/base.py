"""The base of every wire model: frozen, strict, unknown keys refused, `x_` keys free."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, ClassVar, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    JsonValue,
    Strict,
    ValidationInfo,
)
from pydantic_core import CoreSchema, PydanticCustomError

from orchestrator.protocol.faults import Fault, KeyPath

T = TypeVar("T")
# JSON knows no tuple: an array of any length, held as a tuple. Its items stay strict.
Many = Annotated[tuple[T, ...], Strict(False)]

# A validation with this context leaves the faults to the caller, who asks `faults` for all of
# them with their places (`reading` does).
FAULTS_ELSEWHERE: Mapping[str, bool] = {"faults_elsewhere": True}


class Wire(BaseModel):
    """A message or a part of one.

    Keys that start with `x_` belong to whoever writes the file: they are accepted anywhere, kept
    in `extensions`, covered by the digest of the file, and never read by a rule. Every other key
    that the model does not name is refused (the key pattern below does it, inside pydantic-core,
    so that it costs nothing).
    """

    model_config = ConfigDict(
        frozen=True, extra="allow", strict=True, defer_build=True, serialize_by_alias=True
    )

    __pydantic_extra__: dict[Annotated[str, Field(pattern=r"^x_")], JsonValue]

    # other name on the wire -> our field; both are read, ours is written
    other_names: ClassVar[Mapping[str, str]] = {}

    @property
    def extensions(self) -> dict[str, JsonValue]:
        """The `x_` keys and their values."""
        return self.__pydantic_extra__ or {}

    @classmethod
    def faults(cls, data: Mapping[str, Any]) -> Iterable[Fault]:
        """Name what is wrong between the fields of raw `data`; wrong types are not its matter."""
        del data
        return ()

    @classmethod
    def places(cls, path: KeyPath) -> tuple[KeyPath, ...]:
        """Return every place where a person may write the value at `path`; ours first."""
        return (path,)

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        schema = handler(core_schema)
        resolved = handler.resolve_ref_schema(schema)
        properties = resolved.get("properties")
        if properties is not None:
            resolved["patternProperties"] = {"^x_": {}}
            resolved["additionalProperties"] = False
            _describe_other_names(resolved, cls.other_names)
        return schema


def _describe_other_names(schema: dict[str, Any], other_names: Mapping[str, str]) -> None:
    properties, required = schema["properties"], schema.get("required", [])
    for other, name in other_names.items():
        properties[other] = {**properties[name], "deprecated": True, "title": f"Same as {name}"}
        if name in required:
            required.remove(name)
            either = {"anyOf": [{"required": [name]}, {"required": [other]}]}
            schema.setdefault("allOf", []).append(either)


def refuse_faults(faults: Iterable[Fault], info: ValidationInfo) -> None:
    """Raise one pydantic error that holds every fault, unless the caller collects them."""
    if info.context is not None and info.context.get("faults_elsewhere"):
        return
    if told := "; ".join(fault.told() for fault in faults):
        raise PydanticCustomError("faults", "{told}", {"told": told})


def one_name_each(data: dict[str, Any], other_names: Mapping[str, str]) -> dict[str, Any]:
    """Write every value under our own name; an equal second copy is dropped."""
    if other_names.keys().isdisjoint(data):
        return data
    renamed = dict(data)
    for other, name in other_names.items():
        if other in renamed:
            value = renamed.pop(other)
            renamed.setdefault(name, value)
    return renamed


def name_faults(data: Mapping[str, Any], other_names: Mapping[str, str]) -> Iterable[Fault]:
    """Name each pair of keys that mean the same and hold different values."""
    for other, name in other_names.items():
        if other in data and name in data and data[other] != data[name]:
            what = f"means the same as {name!r}, and the two hold different values; keep one"
            yield Fault((other,), what, other=(name,))
