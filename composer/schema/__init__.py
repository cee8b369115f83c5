"""The spec language as JSON Schema, and the schema of an option in words."""

from composer.schema.options import describe
from composer.schema.whole import schema

__all__ = ["describe", "schema"]
