"""States as coloured words with a shape each, so that nobody has to tell them apart by colour alone.

The colours are the tones of static/admin_lists/look.css; a shape is drawn in the colour of its word.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

#: What is drawn in a square of 16 by 16, with lines of 2; `fill` where it is not lines.
SHAPES: Mapping[str, SafeString] = {
    name: mark_safe(drawing)
    for name, drawing in {
        "arrow": '<path d="M2 8h11M9 3.5l4.5 4.5L9 12.5"/>',
        "bars": '<path d="M2.5 3.5h11M2.5 8h11M2.5 12.5h11"/>',
        "check": '<path d="M2 8.5l4 4.5 8-10"/>',
        "clock": '<circle cx="8" cy="8" r="6.5"/><path d="M8 4v4.5l3 1.5"/>',
        "cross": '<path d="M3 3l10 10M13 3L3 13" stroke-width="3"/>',
        "diamond": '<path d="M8 1l7 7-7 7-7-7z" fill="currentColor" stroke="none"/>',
        "dot": '<circle cx="8" cy="8" r="6" fill="currentColor" stroke="none"/>',
        "half": '<circle cx="8" cy="8" r="6"/><path d="M8 2a6 6 0 0 1 0 12z" fill="currentColor" stroke="none"/>',
        "hourglass": '<path d="M3.5 2h9M3.5 14h9M4.5 2c0 4 7 8 7 12M11.5 2c0 4-7 8-7 12"/>',
        "lock": '<path d="M2.5 7h11v8h-11z" fill="currentColor" stroke="none"/><path d="M5 7V5a3 3 0 0 1 6 0v2"/>',
        "pause": '<path d="M5 2v12M11 2v12" stroke-width="3"/>',
        "play": '<path d="M3 1.5l11 6.5-11 6.5z" fill="currentColor" stroke="none"/>',
        "question": '<path d="M4.5 5a3.5 3.5 0 1 1 5 3.2c-1 .6-1.5 1.2-1.5 2.3M8 14v.1"/>',
        "ring": '<circle cx="8" cy="8" r="6"/>',
        "shield": '<path d="M8 1.5l5.5 2v4.5c0 3-2 5-5.5 6.5-3.5-1.5-5.5-3.5-5.5-6.5V3.5z"/>',
        "slash": '<circle cx="8" cy="8" r="6.5"/><path d="M3.5 12.5l9-9"/>',
        "square": '<path d="M2.5 2.5h11v11h-11z"/>',
        "triangle": '<path d="M8 1.5l7 13H1z" fill="currentColor" stroke="none"/>',
        "turn": '<path d="M13.5 8a5.5 5.5 0 1 1-2-4.2M13.5 1v4h-4"/>',
        "undo": '<path d="M3 4.5h6.5a4 4 0 0 1 0 8H5M6 1.5l-3.5 3L6 7.5"/>',
    }.items()
}


@dataclass(frozen=True)
class Mark:
    """The look of one state: its tone (good, bad, wait, later, again, run, quiet) and its shape."""

    tone: str
    shape: str


def marked(mark: Mark, word: Any, name: str = "") -> SafeString:
    """The word in its colour, behind its shape; `name` is the state's own, for its class."""
    return format_html(
        '<span class="state{} tone-{}"><svg class="shape" viewBox="0 0 16 16" width="12" height="12" fill="none"'
        ' stroke="currentColor" stroke-width="2" aria-hidden="true" focusable="false">{}</svg>{}</span>',
        f" state-{name}" if name else "",
        mark.tone,
        SHAPES[mark.shape],
        word,
    )
