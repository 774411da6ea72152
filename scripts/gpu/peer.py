#!/usr/bin/env python3
"""What collecting from a checkpoint costs with transformers, forward hooks and pyarrow in their best form, on a GPU.

Best form: bf16, SDPA, no cache, no logits, inference mode, batches by token budget; the kept rows of a tap are gathered
and rounded to fp16 on the GPU and copied to pinned memory without waiting, one wait a batch; arrays go to pyarrow without a
copy, Parquet without compression, dictionaries and statistics. Prints one JSON object: tokens a second, bare, with one tap
(the last layer's output at the last token) and with all (Wqkv, out_proj, fc1 as gate and up, fc2, resid of every layer, every token).
"""
import argparse, json, os, time
import numpy as np, pyarrow as pa, pyarrow.parquet as pq, torch
from transformers import AutoModel

SITES = {"q": "self_attn.q_proj", "k": "self_attn.k_proj", "v": "self_attn.v_proj", "out_proj": "self_attn.o_proj",
         "gate": "mlp.gate_proj", "up": "mlp.up_proj", "fc2": "mlp.down_proj", "resid": ""}


class Taps:
    """Hooks that bring the kept rows of their module to host memory as fp16."""

    def __init__(self, layers, sites, last):
        self.last, self.host, self.rows, self.handles = last, {}, {}, []
        for i, layer in layers:
            for site in sites:
                module = layer.get_submodule(SITES[site]) if SITES[site] else layer
                self.handles.append(module.register_forward_hook(self.hook(f"{site}_{i}")))

    def hook(self, name):
        def keep(module, args, out):
            x = out[0] if isinstance(out, tuple) else out
            rows = (x[:, -1] if self.last else x.reshape(-1, x.shape[-1])).to(torch.float16)
            if name not in self.host or self.host[name].shape[0] < rows.shape[0]:
                self.host[name] = torch.empty(rows.shape, dtype=torch.float16, pin_memory=rows.is_cuda)
            self.rows[name] = self.host[name][: rows.shape[0]]
            self.rows[name].copy_(rows, non_blocking=True)
        return keep

    def table(self):
        def column(v):
            offsets = np.arange(len(v) + 1, dtype=np.int32) * v.shape[1]
            return pa.ListArray.from_arrays(offsets, pa.array(v.reshape(-1)))
        return pa.table({name: column(v.numpy()) for name, v in self.rows.items()})

    def close(self):
        for h in self.handles:
            h.remove()


def run(model, batches, taps, path):
    """Seconds for all batches; taps None: nothing is kept."""
    cuda = model.device.type == "cuda"
    writer, began = None, time.perf_counter()
    with torch.inference_mode():
        for ids in batches:
            model(input_ids=ids.to(model.device, non_blocking=True), use_cache=False)
            if taps:
                if cuda:
                    torch.cuda.current_stream().synchronize()
                table = taps.table()
                writer = writer or pq.ParquetWriter(path, table.schema, compression="none", use_dictionary=False, write_statistics=False)
                writer.write_table(table)
    if cuda:
        torch.cuda.synchronize()
    if writer:
        writer.close()
        os.remove(path)
    return time.perf_counter() - began


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--model", required=True)
    p.add_argument("--data", required=True, help="JSONL with input_ids, all of one length")
    p.add_argument("--dir", required=True, help="where Parquet goes")
    p.add_argument("--device", default="cuda")
    p.add_argument("--budget", type=int, default=16384, help="tokens of a batch with few taps")
    p.add_argument("--all-budget", type=int, default=2048, help="tokens of a batch with all of them")
    p.add_argument("--all-tokens", type=int, default=4096, help="tokens to keep all taps of")
    a = p.parse_args()
    ids = torch.tensor([json.loads(line)["input_ids"] for line in open(a.data)])
    model = AutoModel.from_pretrained(a.model, dtype=torch.bfloat16, attn_implementation="sdpa").to(a.device).eval()
    layers = list(enumerate(model.layers))
    few, many = ids.split(max(1, a.budget // ids.shape[1])), ids[: max(1, a.all_tokens // ids.shape[1])]
    path, out = os.path.join(a.dir, "peer.parquet"), {}
    for what, batches, at, sites, last in (("bare", few, [], [], True), ("one_tap", few, layers[-1:], ["resid"], True),
                                           ("all_taps", many.split(max(1, a.all_budget // ids.shape[1])), layers, list(SITES), False)):
        taps = Taps(at, sites, last) if at else None
        run(model, batches[:1], taps, path)  # warms up
        took = run(model, batches, taps, path)
        out[what] = sum(b.numel() for b in batches) / took
        if taps:
            taps.close()
    print(json.dumps(out))


if __name__ == "__main__":
    main()
