"""Attention maps to look at: what mechanisms compute on photographs, as findings, figures and a page."""

from composer.looking.plates import Finding
from composer.looking.report import Look, look_at

__all__ = ["Finding", "Look", "look_at"]
