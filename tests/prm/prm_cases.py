"""A small policy, and labelled programs whose labels hang on one token."""

from rltf.policies.tiny import tiny_t5

BAD = 40


def record_of(draw, number):
    """A program of 3 to 6 lines of 2 tokens; from the line with the token `BAD` on all are bad."""
    lines = draw.randint(3, 6)
    bad = draw.randint(0, lines)
    ids = [token for line in range(lines) for token in (draw.randrange(100, 110), BAD if line == bad else 50)]
    return {
        "problem_id": f"p{number}",
        "prompt_ids": [7, 8],
        "token_ids": ids,
        "ends": [2 * line + 2 for line in range(lines)],
        "labels": [1.0 if line < bad else -1.0 for line in range(lines)],
        "outcome": "wrong_answer",
        "asked": 3,
    }


def small():
    return tiny_t5(d_model=32, d_ff=64, layers=1, heads=2)
