"""Programs, messages and names as a reader can see them: they may be written to deceive."""


def visible_text(text: str, allowed: str = "") -> str:
    """Text in which invisible characters are spelled out, so that nothing can reorder or hide what a reader sees.

    >>> visible_text("a\\x00b\\n", allowed="\\n")
    'a‹U+0000›b\\n'
    """
    return "".join(c if c.isprintable() or c in allowed else f"‹U+{ord(c):04X}›" for c in text)
