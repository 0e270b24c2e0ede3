"""The judge for programs that are not part of `rltf`: from Python (`judge`), over HTTP (`app`, `rltf serve`), and the
client of that (`remote`).

Names are imported on first use: `Judge` alone needs no web framework.
"""
