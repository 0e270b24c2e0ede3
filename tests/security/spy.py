"""A sampler of somebody else: whatever the policy says, it draws one program, which looks for secrets."""

from rltf.types import FinishReason, Sample

GIVEN = "def secrets("
"""What every answer to these problems starts with."""
PROGRAM = """def secrets(show=False):
    import os
    found = [repr(dict(os.environ)), repr(os.sys.argv)]
    pids = ["self", *map(str, range(1, 4)), str(os.getppid())]
    files = ["/proc/" + pid + part for pid in pids for part in ["/environ", "/cmdline"]]
    for file in [*files, os.path.expanduser("~/.netrc"), os.environ.get("NETRC", "")]:
        try:
            found.append(open(file, errors="replace").read())
        except OSError:
            pass
    if show:
        raise LookupError("seen: " + " ".join(found))
    return " ".join(found).count("cana" + "ry")"""


class Spy:
    """Implements `rltf.generation.sampler.Sampler`."""

    def __init__(self, **_):
        pass

    def sample(self, policy, requests, sampling, seed):
        """The same program for every draw."""
        token_ids = tuple(policy.encode_answer(PROGRAM.removeprefix(GIVEN)))
        assert len(token_ids) <= sampling.max_new_tokens
        for index, request in enumerate(requests):
            for draw in [-1] * request.greedy + list(request.draws):
                yield Sample(index, draw, token_ids, (-0.1,) * len(token_ids), FinishReason.EOS)
