#!/usr/bin/env python3
"""Prints MXFP4 weights and what transformers dequantises them to, as cases of cases.json; SEED 0 made the one there.

    python mxfp4.py SEED
"""
import base64
import json
import sys

try:
    import torch
    from transformers.integrations.mxfp4 import convert_moe_packed_tensors
except ImportError as e:
    print("missing:", e.name)
    sys.exit(77)


def stored(t, dtype):
    data = base64.b64encode(t.contiguous().view(torch.uint8).numpy().tobytes()).decode()
    return {"dtype": dtype, "shape": list(t.shape), "data": data}


def case(name, first, last, prefix, groups, rows, draw):
    """A case with scales from first to last (exponents + 127) for experts and for a linear layer."""
    tensors, want = {}, {}
    for kind, lead in (("experts.down_proj", prefix), ("a.weight", [])):
        blocks = torch.randint(256, [*lead, rows, groups, 16], dtype=torch.uint8, generator=draw)
        scales = torch.randint(first, last + 1, [*lead, rows, groups], dtype=torch.uint8, generator=draw)
        tensors |= {f"{kind}_blocks": stored(blocks, "U8"), f"{kind}_scales": stored(scales, "U8")}
        # Transformers knows experts alone, whose weights it turns round.
        values = convert_moe_packed_tensors(blocks.reshape(-1, rows, groups, 16), scales.reshape(-1, rows, groups))
        values = values.float() if lead else values[0].T.float()
        want[kind] = stored(values, "F32")
    return {"name": name, "config": {"quant_method": "mxfp4", "modules_to_not_convert": ["lm_head"]}, "tensors": tensors, "want": want}


draw = torch.Generator().manual_seed(int(sys.argv[1]))
print(json.dumps([case("mxfp4", 118, 129, [2], 1, 3, draw), case("mxfp4, every scale", 0, 254, [4], 3, 40, draw)][:1 if sys.argv[1] == "0" else 2]))
