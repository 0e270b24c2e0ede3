"""Text that strangers wrote (programs, messages, names) as HTML that shows it and does nothing else."""

from __future__ import annotations

import html

_KEPT = "\n\t"


def text(value: object) -> str:
    """Escaped; invisible characters made visible, so that no program can reorder or hide what a reader sees.

    >>> text("a < b\\x00")
    'a &lt; b‹U+0000›'
    """
    return html.escape("".join(map(_visible, str(value))), quote=True)


def tag(name: str, content: str = "", **attributes: object) -> str:
    """One element around content that is HTML already; `class_` is `class`, `a_b` is `a-b`, None leaves out.

    >>> tag("p", "x", class_="note")
    '<p class="note">x</p>'
    """
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{html.escape(str(value), quote=True)}"'
        for key, value in attributes.items()
        if value is not None
    )
    return f"<{name}{written}>{content}</{name}>"


def _visible(character: str) -> str:
    if character in _KEPT or character.isprintable():
        return character
    return f"‹U+{ord(character):04X}›"
