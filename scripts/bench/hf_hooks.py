#!/usr/bin/env python3
"""What collecting costs with Hugging Face, forward hooks and pyarrow: the peer of `actfleet bench collect`.

Two forms, because a comparison with a careless one proves little:
  usual  batches of 32 in file order, padded, logits of every token, KV cache on: what most scripts do
  best   sorted by length, batches by token budget, logits of the last token only, no cache, inference mode

Each form is timed bare (no hooks) and written (hooks on Wqkv = q|k|v, out_proj, fc1, fc2 and the residual
stream of every layer; kept tokens as fp16 list columns, written by pyarrow). Needs torch, transformers,
tokenizers and pyarrow. --actfleet BIN runs `BIN bench collect` over the same prompts in every round, in turn.
--make DIR writes a random Phi (hidden 512, 8 layers) with the tokenizer of --model there first, for a model
in which Python's overhead does not decide. --shots N puts the same N labelled statements before every prompt;
--ragged makes prompts of one to nine statements, as lengths differ in most data sets.
"""
import argparse, json, os, shutil, statistics, subprocess, sys, tempfile, time
import numpy as np, pyarrow as pa, pyarrow.parquet as pq, torch
from tokenizers import Tokenizer
from transformers import PhiConfig, PhiForCausalLM


def make(src, out):
    torch.manual_seed(0)
    base = json.load(open(os.path.join(src, "config.json")))
    cfg = PhiConfig(vocab_size=base["vocab_size"], hidden_size=512, intermediate_size=2048, num_hidden_layers=8,
                    num_attention_heads=8, num_key_value_heads=8, max_position_embeddings=512, hidden_act="gelu_new")
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


def run(model, ids, form, budget, keep, path):
    taps = Taps(model) if path else None
    writer, tokens, size = None, 0, 0
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
            kept = mask
            if keep == "last":
                kept = torch.zeros_like(mask)
                kept[range(len(rows)), [len(ids[r]) - 1 for r in rows]] = True
            cols = {"row": pa.array(np.repeat(rows, kept.sum(1).numpy()))}
            for name, v in taps.columns(kept):
                size += v.nbytes
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
    return tokens, seconds, size


def few_shot(lines, shots):
    return "".join(f"{l['text']} {'true' if l['label'] else 'false'}\n" for l in lines[:shots])


def ours(a, data, limit):
    """tokens/s are rows/s where every token is kept; with --tokens last they are counted from the prompts."""
    out = subprocess.run([a.actfleet, "bench", "collect", "--model", a.model, "--data", data, "--tokens", a.tokens, "--limit", str(limit),
                          "--rounds", "1", "--dir", a.dir, "--threads", str(a.threads), "--json"], capture_output=True, text=True, check=True).stdout
    lines = {line["name"]: line for line in json.loads(out)}
    return lines["collect, all taps, written"], lines["memory over the model"]["value"]


def peak(a, form):
    """The most memory one written pass takes over the loaded model, in MB, measured in a process of its own."""
    args = [sys.executable, __file__, *sys.argv[1:], "--peak", form]
    return float(subprocess.run(args, capture_output=True, text=True, check=True).stdout)


def held(what):
    """VmRSS, what this process holds now, or VmHWM, the most it held; in MB."""
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith(what)) / 1e3


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--model", required=True)
    p.add_argument("--data", required=True)
    p.add_argument("--make")
    p.add_argument("--actfleet", help="the program to compare with")
    p.add_argument("--tokens", choices=["all", "last"], default="all", help="which positions are kept")
    p.add_argument("--shots", type=int, default=0)
    p.add_argument("--ragged", action="store_true")
    p.add_argument("--limit", type=int, default=1500)
    p.add_argument("--budget", type=int, default=1024, help="padded tokens of a batch in the best form")
    p.add_argument("--threads", type=int, default=os.cpu_count())
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--dir", default=tempfile.gettempdir())
    p.add_argument("--peak", help=argparse.SUPPRESS)
    a = p.parse_args()
    if a.make and not os.path.exists(a.make):
        make(a.model, a.make)
    a.model = a.make or a.model
    torch.set_num_threads(a.threads)
    tok = Tokenizer.from_file(os.path.join(a.model, "tokenizer.json"))
    lines = [json.loads(line) for line in open(a.data)]
    prefix, lines = few_shot(lines, a.shots), lines[a.shots : a.shots + a.limit]
    texts = [line["text"] for line in lines]
    if a.ragged:  # one statement often, nine seldom
        texts = [" ".join(texts[i : i + 1 + (i * 7919 % 97) ** 2 // 1117]) for i in range(len(texts))]
    texts = [prefix + text for text in texts]
    ids = [tok.encode(t).ids for t in texts]
    model = PhiForCausalLM.from_pretrained(a.model, dtype=torch.float32, attn_implementation="sdpa").eval()
    path = os.path.join(a.dir, f"hf_hooks-{os.getpid()}.parquet")
    if a.peak:
        open("/proc/self/clear_refs", "w").write("5")  # VmHWM begins anew
        before = held("VmRSS")
        run(model, ids, a.peak, a.budget, a.tokens, path)
        os.remove(path)
        print(held("VmHWM") - before)
        return
    compare(a, model, ids, texts, path)


def compare(a, model, ids, texts, path):
    tokens = sum(map(len, ids))
    rates, memory, size = {}, {}, 0
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as data:
        data.writelines(json.dumps({"text": t}) + "\n" for t in texts)
        data.flush()
        for round in range(a.rounds + 1):
            for form in ("usual", "best"):
                for what, to in (("bare", None), ("written", path)):
                    _, seconds, n = run(model, ids, form, a.budget, a.tokens, to)
                    size = max(size, n)
                    if round:  # the first one warms up
                        rates.setdefault(f"{form} {what}", []).append(tokens / seconds)
            if a.actfleet and round:
                line, mb = ours(a, data.name, len(texts))
                rates.setdefault("actfleet bare", []).append(tokens / line["limit"])
                rates.setdefault("actfleet written", []).append(tokens / line["value"])
                memory["actfleet"] = max(mb, memory.get("actfleet", 0))
    os.remove(path)
    memory |= {form: peak(a, form) for form in ("usual", "best")}
    median = {name: statistics.median(v) for name, v in rates.items()}
    print(f"{len(texts)} prompts, {tokens} tokens, {size / 1e6:.0f} MB of activations, {a.threads} threads, torch {torch.__version__}, median of {a.rounds}")
    for name, rate in median.items():
        mb = f"{memory[name.split()[0]]:6.0f} MB over the model" if name.endswith("written") else ""
        data_rate = f"{rate * size / tokens / 1e6:7.1f} MB/s" if name.endswith("written") else " " * 12
        print(f"{name:18} {rate:8.0f} tokens/s {data_rate} {rate / median['best ' + name.split()[1]]:6.2f} × the best form  {mb}")


if __name__ == "__main__":
    main()
