#!/usr/bin/env python3
"""What collecting costs with Hugging Face, forward hooks and pyarrow: the peer of `actfleet bench collect`.

Two forms, because a comparison with a careless one proves little:
  usual  batches of 32 in file order, padded to the longest, logits of every token, KV cache on; a hook takes what its
         module gave to fp16 in host memory at once; Python lists into list<float16> columns, Parquet with pyarrow's
         defaults: what is written when nobody measures
  best   sorted by length, batches by token budget, logits of the last token only, no cache, inference mode; arrays
         handed to pyarrow without a copy, Parquet without compression, dictionaries and statistics

Each form is timed bare (no hooks) and written (hooks on Wqkv = q|k|v, out_proj, fc1, fc2 and the residual
stream of every layer; kept tokens as fp16 list columns, written by pyarrow). Needs torch, transformers,
tokenizers and pyarrow. --actfleet BIN runs `BIN bench collect` over the same prompts in every round, in turn, and the whole
command `BIN collect` with its start and its loading of the model, which transformers is spared; that is compared with what
transformers writes. --bare leaves out everything written, and takes a causal language model of any family; --best leaves out the usual form.
Rates are by the clock and by processor time, which says the same on a machine that others use too as long as
--threads is 1 (threads that wait for each other wait busily).
--make DIR writes a random Phi (hidden 512, 8 layers, Phi's vocabulary of 51,200) with the tokenizer of --model there
first, for a model in which Python's overhead does not decide. --data is JSONL or CSV with the prompts in --column.
--shots N puts the same N labelled statements before every prompt; --ragged makes prompts of one to nine statements.
"""
import argparse, csv, json, os, resource, shutil, statistics, subprocess, sys, tempfile, time
import numpy as np, pyarrow as pa, pyarrow.parquet as pq, torch
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM, PhiConfig, PhiForCausalLM


def make(src, out):
    torch.manual_seed(0)
    cfg = PhiConfig(vocab_size=51200, hidden_size=512, intermediate_size=2048, num_hidden_layers=8,
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
    """Hooks that keep what every site of every layer gave in the last forward: as it is, or as fp16."""

    def __init__(self, model, half):
        self.got, self.half = {}, half
        for i, layer in enumerate(model.model.layers):
            att, mlp = layer.self_attn, layer.mlp
            for name, module in {"q": att.q_proj, "k": att.k_proj, "v": att.v_proj, "out_proj": att.dense,
                                 "fc1": mlp.fc1, "fc2": mlp.fc2, "resid": layer}.items():
                module.register_forward_hook(self.hook(f"{name}_{i}"))

    def hook(self, name):
        def keep(module, args, out):
            x = out[0] if isinstance(out, tuple) else out
            self.got[name] = x.detach().cpu().half() if self.half else x
        return keep

    def columns(self, mask):
        layers = sorted({int(n.rsplit("_", 1)[1]) for n in self.got})
        for i in layers:
            qkv = torch.cat([self.got[f"{s}_{i}"] for s in "qkv"], -1)
            for name, x in ((f"Wqkv_{i}", qkv), *((f"{s}_{i}", self.got[f"{s}_{i}"]) for s in ("out_proj", "fc1", "fc2", "resid"))):
                yield name, x[mask].to(torch.float16).numpy()


def column(form, v):
    """v, fp16 [rows, width], as a list<float16> column."""
    if form == "usual":
        return pa.array(v.tolist(), pa.list_(pa.float16()))
    return pa.ListArray.from_arrays(np.arange(len(v) + 1, dtype=np.int32) * v.shape[1], pa.array(v.reshape(-1)))


PARQUET = {"usual": {}, "best": {"compression": "none", "use_dictionary": False, "write_statistics": False}}


def run(model, ids, form, budget, keep, path):
    taps = Taps(model, form == "usual") if path else None
    writer, size = None, 0
    began, worked = time.perf_counter(), time.process_time()
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
            if not taps:
                continue
            kept = mask
            if keep == "last":
                kept = torch.zeros_like(mask)
                kept[range(len(rows)), [len(ids[r]) - 1 for r in rows]] = True
            cols = {"row": pa.array(np.repeat(rows, kept.sum(1).numpy()))}
            for name, v in taps.columns(kept):
                size += v.nbytes
                cols[name] = column(form, v)
            table = pa.table(cols)
            writer = writer or pq.ParquetWriter(path, table.schema, **PARQUET[form])
            writer.write_table(table)
    if writer:
        writer.close()
    took = {"clock": time.perf_counter() - began, "processor": time.process_time() - worked}
    if taps:  # hooks stay on the modules otherwise
        for m in model.modules():
            m._forward_hooks.clear()
    return took, size


def few_shot(lines, column, shots):
    return "".join(f"{l[column]} {'true' if l['label'] else 'false'}\n" for l in lines[:shots])


def ours(a, data, limit):
    """What both sides of `bench collect` took, and the memory."""
    out = subprocess.run([a.actfleet, "bench", "collect", "--model", a.model, "--data", data, "--tokens", a.tokens, "--limit", str(limit),
                          "--rounds", "1", "--dir", a.dir, "--threads", str(a.threads), "--json"], capture_output=True, text=True, check=True).stdout
    lines = {line["name"]: line for line in json.loads(out)}
    clock, processor = lines["collect, all taps, written"], lines["the same, processor time"]
    took = {w: {"clock": clock[k], "processor": processor[k]} for w, k in (("bare", "limit"), ("written", "value"))}
    return took, lines["memory over the model"]["value"]


def whole(a, data, limit):
    """What the command took from its start to its end."""
    with tempfile.TemporaryDirectory(dir=a.dir) as run:
        before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        subprocess.run([a.actfleet, "collect", "--model", a.model, "--data", data, "--tokens", a.tokens, "--limit", str(limit),
                        "--out", os.path.join(run, "run"), "--threads", str(a.threads)], capture_output=True, check=True)
        clock, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return {"clock": clock, "processor": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime}


def read(path):
    with open(path, newline="") as f:
        return list(csv.DictReader(f)) if path.endswith(".csv") else [json.loads(line) for line in f]


def peak(a, form):
    """The most memory a written pass over the first 256 prompts takes over the loaded model, in MB, in a process of its own."""
    args = [sys.executable, __file__, *sys.argv[1:], "--peak", form]
    return float(subprocess.run(args, capture_output=True, text=True, check=True).stdout)


def held(what):
    """VmRSS, what this process holds now, or VmHWM, the most it held; in MB."""
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith(what)) / 1e3


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--model", required=True)
    p.add_argument("--data", required=True)
    p.add_argument("--column", default="text")
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
    p.add_argument("--best", action="store_true", help="the best form alone")
    p.add_argument("--bare", action="store_true", help="bare passes alone, of any family")
    p.add_argument("--peak", help=argparse.SUPPRESS)
    a = p.parse_args()
    if a.make and not os.path.exists(a.make):
        make(a.model, a.make)
    a.model = a.make or a.model
    torch.set_num_threads(a.threads)
    tok = Tokenizer.from_file(os.path.join(a.model, "tokenizer.json"))
    lines = read(a.data)
    prefix, lines = few_shot(lines, a.column, a.shots), lines[a.shots : a.shots + a.limit]
    texts = [line[a.column] for line in lines]
    if a.ragged:  # one statement often, nine seldom
        texts = [" ".join(texts[i : i + 1 + (i * 7919 % 97) ** 2 // 1117]) for i in range(len(texts))]
    texts = [prefix + text for text in texts]
    ids = [tok.encode(t).ids for t in texts]
    model = AutoModelForCausalLM.from_pretrained(a.model, dtype=torch.float32).eval()  # SDPA where it has it
    path = os.path.join(a.dir, f"hf_hooks-{os.getpid()}.parquet")
    if a.peak:
        open("/proc/self/clear_refs", "w").write("5")  # VmHWM begins anew
        before = held("VmRSS")
        run(model, ids[:256], a.peak, a.budget, a.tokens, path)
        os.remove(path)
        print(held("VmHWM") - before)
        return
    compare(a, model, ids, texts, path)


def compare(a, model, ids, texts, path):
    tokens = sum(map(len, ids))
    took, memory, size = {}, {}, 0
    forms = ["best"] if a.best else list(PARQUET)
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as data:
        data.writelines(json.dumps({"text": t}) + "\n" for t in texts)
        data.flush()
        for form in forms:
            run(model, ids[:64], form, a.budget, a.tokens, None if a.bare else path)  # warms up
        for _ in range(a.rounds):
            for form in forms:
                for what, to in (("bare", None),) if a.bare else (("bare", None), ("written", path)):
                    t, n = run(model, ids, form, a.budget, a.tokens, to)
                    size = max(size, n)
                    took.setdefault((form, what), []).append(t)
            if a.actfleet:
                both, mb = ours(a, data.name, len(texts))
                for what, t in both.items():
                    took.setdefault(("actfleet", what), []).append(t)
                memory["actfleet"] = max(mb, memory.get("actfleet", 0))
                if a.bare:
                    took.pop(("actfleet", "written"))
                else:
                    took.setdefault(("actfleet", "whole"), []).append(whole(a, data.name, len(texts)))
    if not a.bare:
        os.remove(path)
        memory |= {form: peak(a, form) for form in forms}
    lengths = sorted(map(len, ids))
    print(f"{len(texts)} prompts, {tokens} tokens (median {lengths[len(ids) // 2]}, 9 of 10 below {lengths[len(ids) * 9 // 10]}, longest {lengths[-1]}), "
          f"{size / 1e6:.0f} MB of activations, {a.threads} threads, torch {torch.__version__}, median of {a.rounds}, load {os.getloadavg()[0]:.1f}")
    for by in ("clock", "processor"):
        rate = {k: tokens / statistics.median(t[by] for t in v) for k, v in took.items()}
        print({"clock": "by the clock", "processor": "by processor time"}[by])
        for (form, what), r in rate.items():
            peer = "written" if what == "whole" else what
            line = f"  {form:8} {what:8} {r:8.0f} tokens/s " + " ".join(f"{r / rate[f, peer]:6.2f} × {f}" for f in reversed(forms))
            if what == "written" and by == "clock":
                line += f" {r * size / tokens / 1e6:7.1f} MB/s {memory[form]:6.0f} MB over the model"
            print(line)


if __name__ == "__main__":
    main()
