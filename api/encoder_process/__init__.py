"""Encoders compute in a process of their own, which shares neither Python's lock nor a crash.

    routes ─► embedder ─► handle ══ messages over a socket pair ══► __main__ ─► batching ─► encoder
              (checks)    (API)                                     (encoder process)

Only what stands right of the double line imports PyTorch, and nothing there imports the API.
"""
