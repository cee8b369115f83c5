"""The spec language as JSON Schema, and the schema of an option in words."""

from composer.schema.options import describe
from composer.schema.whole import TITLE, schema

__all__ = ["TITLE", "describe", "schema"]
