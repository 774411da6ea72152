#!/usr/bin/env python3
"""Makes the reference of package gguf: one file with a tensor of every type, and its values as llama.cpp's own Python reads them.

    pip install gguf numpy
    python scripts/ref/gguf_ref.py collector/model/gguf/testdata

Writes tiny.gguf and tiny.values.gz (the float32 values of its tensors, in the file's order, little-endian).
"""
import gzip
import sys
import numpy as np
import gguf
from gguf import GGMLQuantizationType as T

SEED = 20261
BLOCKS = 6


def blocks(rng, t):
    """Random blocks whose scales are finite: the 16-bit floats of a block are drawn, the rest is any byte."""
    values, size = gguf.GGML_QUANT_SIZES[t]
    raw = rng.integers(0, 256, (BLOCKS, size), dtype=np.uint8)
    places = {T.Q4_0: [0], T.Q5_0: [0], T.Q8_0: [0], T.Q4_1: [0, 2], T.Q5_1: [0, 2], T.Q4_K: [0, 2], T.Q5_K: [0, 2], T.Q6_K: [208],
              T.F16: [0]}.get(t, [])
    for at in places:
        raw[:, at:at + 2] = rng.normal(0, 0.1, BLOCKS).astype(np.float16).reshape(-1, 1).view(np.uint8)
    if t == T.F32:
        raw = rng.normal(size=(BLOCKS, 1)).astype(np.float32).view(np.uint8)
    if t == T.BF16:
        raw = rng.normal(size=(BLOCKS, 1)).astype(np.float32).view(np.uint8)[:, 2:].copy()
    return raw, values


def main(out):
    rng = np.random.default_rng(SEED)
    w = gguf.GGUFWriter(f"{out}/tiny.gguf", "llama")
    w.add_name("tiny")
    w.add_uint32("llama.block_count", 2)
    w.add_float32("llama.rope.freq_base", 10000.0)
    w.add_bool("tokenizer.ggml.add_bos_token", True)
    w.add_int8("x.i8", -3)
    w.add_uint64("x.u64", 1 << 40)
    w.add_float64("x.f64", 0.1)
    w.add_array("tokenizer.ggml.tokens", ["<unk>", "▁a", "b"])
    w.add_array("tokenizer.ggml.scores", [0.0, -1.5, -2.5])
    w.add_array("tokenizer.ggml.token_type", [2, 1, 1])
    values = b""
    for t in (T.F32, T.F16, T.BF16, T.Q4_0, T.Q4_1, T.Q5_0, T.Q5_1, T.Q8_0, T.Q4_K, T.Q5_K, T.Q6_K):
        raw, n = blocks(rng, t)
        raw = raw.reshape(2, -1)
        if t == T.F32:
            w.add_tensor(t.name, raw.view(np.float32))
        elif t == T.F16:
            w.add_tensor(t.name, raw.view(np.float16))
        else:
            w.add_tensor(t.name, raw, raw_dtype=t)
        values += gguf.quants.dequantize(raw.view({T.F32: np.float32, T.F16: np.float16}.get(t, np.uint8)), t).astype("<f4").tobytes()
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()
    with open(f"{out}/tiny.values.gz", "wb") as f, gzip.GzipFile(fileobj=f, mode="wb", filename="", mtime=0) as z:
        z.write(values)


if __name__ == "__main__":
    main(sys.argv[1])
