#!/usr/bin/env python3
"""What collecting costs with Hugging Face, forward hooks and pyarrow: the peer of `actfleet bench collect`.

Two forms, because a comparison with a careless one proves little:
  usual  batches of 32 in file order, padded, logits of every token, KV cache on: what most scripts do
  best   sorted by length, batches by token budget, logits of the last token only, no cache, inference mode

Each form is timed bare (no hooks) and full (hooks on Wqkv = q|k|v, out_proj, fc1, fc2 and the residual
stream of every layer; kept tokens as fp16 list columns, written by pyarrow). Needs torch, transformers,
tokenizers and pyarrow. --make DIR writes a random Phi (hidden 512, 8 layers) with the tokenizer of
--model there first, for a model in which Python's overhead does not decide.
"""
import argparse, json, os, shutil, statistics, time
import numpy as np, pyarrow as pa, pyarrow.parquet as pq, torch
from tokenizers import Tokenizer
from transformers import PhiConfig, PhiForCausalLM


def make(src, out):
    torch.manual_seed(0)
    base = json.load(open(os.path.join(src, "config.json")))
    cfg = PhiConfig(vocab_size=base["vocab_size"], hidden_size=512, intermediate_size=2048, num_hidden_layers=8,
                    num_attention_heads=8, num_key_value_heads=8, max_position_embeddings=128, hidden_act="gelu_new")
    PhiForCausalLM(cfg).save_pretrained(out)
    shutil.copy(os.path.join(src, "tokenizer.json"), out)


def batches(ids, form, budget):
    if form == "usual":
        return [list(range(i, min(i + 32, len(ids)))) for i in range(0, len(ids), 32)]
    order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
    out, start = [], 0
    while start < len(order):
        end = start + 1
        while end < len(order) and (end - start + 1) * len(ids[order[end]]) <= budget:
            end += 1
        out.append(order[start:end])
        start = end
    return out


class Taps:
    """Hooks that keep what every site of every layer gave in the last forward."""

    def __init__(self, model):
        self.got = {}
        for i, layer in enumerate(model.model.layers):
            att, mlp = layer.self_attn, layer.mlp
            for name, module in {"q": att.q_proj, "k": att.k_proj, "v": att.v_proj, "out_proj": att.dense,
                                 "fc1": mlp.fc1, "fc2": mlp.fc2, "resid": layer}.items():
                module.register_forward_hook(self.hook(f"{name}_{i}"))

    def hook(self, name):
        def keep(module, args, out):
            self.got[name] = out[0] if isinstance(out, tuple) else out
        return keep

    def columns(self, mask):
        layers = sorted({int(n.rsplit("_", 1)[1]) for n in self.got})
        for i in layers:
            qkv = torch.cat([self.got[f"{s}_{i}"] for s in "qkv"], -1)
            for name, x in ((f"Wqkv_{i}", qkv), *((f"{s}_{i}", self.got[f"{s}_{i}"]) for s in ("out_proj", "fc1", "fc2", "resid"))):
                yield name, x[mask].to(torch.float16).numpy()


def run(model, ids, form, budget, path):
    taps = Taps(model) if path else None
    writer, tokens = None, 0
    began = time.perf_counter()
    with torch.inference_mode() if form == "best" else torch.no_grad():
        for rows in batches(ids, form, budget):
            width = max(len(ids[r]) for r in rows)
            x = torch.zeros(len(rows), width, dtype=torch.long)
            mask = torch.zeros(len(rows), width, dtype=torch.bool)
            for b, r in enumerate(rows):
                x[b, : len(ids[r])] = torch.tensor(ids[r])
                mask[b, : len(ids[r])] = True
            extra = {"use_cache": False, "logits_to_keep": 1} if form == "best" else {}
            model(input_ids=x, attention_mask=mask.long(), **extra)
            tokens += int(mask.sum())
            if not taps:
                continue
            cols = {"row": pa.array(np.repeat(rows, [len(ids[r]) for r in rows]))}
            for name, v in taps.columns(mask):
                cols[name] = pa.ListArray.from_arrays(np.arange(len(v) + 1, dtype=np.int32) * v.shape[1], pa.array(v.reshape(-1)))
            table = pa.table(cols)
            writer = writer or pq.ParquetWriter(path, table.schema, compression="none", use_dictionary=False, write_statistics=False)
            writer.write_table(table)
    if writer:
        writer.close()
    seconds = time.perf_counter() - began
    if taps:  # hooks stay on the modules otherwise
        for m in model.modules():
            m._forward_hooks.clear()
    return tokens, seconds


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--model", required=True)
    p.add_argument("--data", required=True)
    p.add_argument("--make")
    p.add_argument("--limit", type=int, default=1500)
    p.add_argument("--budget", type=int, default=1024, help="padded tokens of a batch in the best form")
    p.add_argument("--threads", type=int, default=os.cpu_count())
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--dir", default="/tmp")
    a = p.parse_args()
    if a.make:
        make(a.model, a.make)
        a.model = a.make
    torch.set_num_threads(a.threads)
    tok = Tokenizer.from_file(os.path.join(a.model, "tokenizer.json"))
    lines = [json.loads(line) for line in open(a.data)][: a.limit]
    ids = [tok.encode(row["text"]).ids for row in lines]
    model = PhiForCausalLM.from_pretrained(a.model, dtype=torch.float32, attn_implementation="sdpa").eval()
    path = os.path.join(a.dir, "hf_hooks.parquet")
    rates = {}
    for round in range(a.rounds + 1):
        for form in ("usual", "best"):
            for what, to in (("bare", None), ("written", path)):
                tokens, seconds = run(model, ids, form, a.budget, to)
                if round:  # the first one warms up
                    rates.setdefault(f"{form} {what}", []).append(tokens / seconds)
    if os.path.exists(path):
        os.remove(path)
    print(json.dumps({name: round_(statistics.median(v)) for name, v in rates.items()} | {"unit": "tokens/s", "tokens": tokens}))


def round_(v):
    return float(f"{v:.4g}")


if __name__ == "__main__":
    main()
