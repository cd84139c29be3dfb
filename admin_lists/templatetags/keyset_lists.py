"""The table of a list, with its numbers under one another."""

from __future__ import annotations

import re
from typing import Any

from django import template
from django.contrib.admin.templatetags.admin_list import result_list
from django.utils.safestring import SafeString, mark_safe

register = template.Library()

_CELL = re.compile(r'<(?:td|th) class="(?=field-([^" ]*))')


@register.inclusion_tag("admin/change_list_results.html")
def keyset_results(cl: Any) -> dict[str, Any]:
    """The rows of a `KeysetChangeList` as Django's own tag shows them; numbers are of class `num`."""
    context: dict[str, Any] = result_list(cl)
    numbers = cl.number_columns
    for header in context["result_headers"]:
        for name in numbers:
            if header["class_attrib"] == f' class="column-{name}"':
                header["class_attrib"] = mark_safe(f' class="num column-{name}"')
    for row in context["results"]:
        row[:] = [_aligned(cell, numbers) for cell in row]
    return context


def _aligned(cell: SafeString, numbers: frozenset[str]) -> SafeString:
    found = _CELL.match(cell)
    if found is None or found[1] not in numbers:
        return cell
    return mark_safe(f"{cell[: found.end()]}num {cell[found.end() :]}")
