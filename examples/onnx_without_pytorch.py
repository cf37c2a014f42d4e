"""Embed windows with an exported encoder: NumPy and ONNX Runtime, no PyTorch, no ppgssl.

ppgssl export --encoder default --format onnx --out encoder.onnx
python onnx_without_pytorch.py encoder.onnx windows.npy embeddings.npy
"""

import sys

import numpy as np
import onnxruntime

encoder, windows, embeddings = sys.argv[1:]
session = onnxruntime.InferenceSession(encoder, providers=["CPUExecutionProvider"])
samples = np.atleast_2d(np.load(windows)).astype(np.float32)  # (windows, samples), raw, at 125 Hz
np.save(embeddings, session.run(["embedding"], {"windows": samples})[0])
