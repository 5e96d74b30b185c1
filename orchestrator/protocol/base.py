"""The base of every wire model: frozen, strict, unknown keys refused, `x_` keys free."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    JsonValue,
    SerializerFunctionWrapHandler,
    Strict,
    model_serializer,
    model_validator,
)
from pydantic_core import CoreSchema, PydanticCustomError

_EXTENSIONS = "extensions"

T = TypeVar("T")
# JSON knows no tuple: an array of any length, held as a tuple. Its items stay strict.
Many = Annotated[tuple[T, ...], Strict(False)]


class Wire(BaseModel):
    """A message or a part of one.

    Keys that start with `x_` belong to whoever writes the file: they are accepted anywhere, kept
    in `extensions`, covered by the digest of the file, and never read by a rule.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, populate_by_name=True, defer_build=True
    )

    extensions: dict[str, JsonValue] = Field(default_factory=dict, exclude=True)

    @model_validator(mode="before")
    @classmethod
    def _set_extensions_aside(cls, data: Any) -> Any:  # noqa: ANN401  raw input, by definition
        if not isinstance(data, dict) or not any(
            isinstance(key, str) and (key.startswith("x_") or key == _EXTENSIONS) for key in data
        ):
            return data
        if _EXTENSIONS in data:
            if isinstance(data[_EXTENSIONS], dict) and all(
                isinstance(key, str) and key.startswith("x_") for key in data[_EXTENSIONS]
            ):
                return data
            raise PydanticCustomError(
                "extensions", "'extensions' is not a key of the format; use keys starting with x_"
            )
        free = {key: value for key, value in data.items() if key.startswith("x_")}
        kept = {key: value for key, value in data.items() if not key.startswith("x_")}
        return {**kept, _EXTENSIONS: free}

    @model_serializer(mode="wrap")
    def _put_extensions_back(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        written: dict[str, Any] = handler(self)
        return {**written, **self.extensions} if self.extensions else written

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        schema = handler(core_schema)
        resolved = handler.resolve_ref_schema(schema)
        properties = resolved.get("properties")
        if properties is not None:
            properties.pop(_EXTENSIONS, None)
            resolved["patternProperties"] = {"^x_": {}}
        return schema
