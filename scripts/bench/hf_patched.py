#!/usr/bin/env python3
"""What loss_recovered costs with Hugging Face: the peer of `actfleet eval --model`.

Every prompt of a run goes through the model as it is, with an autoencoder's reconstructions in place of one block's
output, and with zeros there; the cross entropy of the next token and the KL divergence from the clean prediction are
summed. In its best form: sorted by length, batches by token budget, no cache, no mask (the padding is on the right),
SDPA, inference mode, logits of real positions only. `actfleet eval --all --model` does the same in every round, in turn; its
numbers must agree. Needs torch, transformers and pyarrow.

--coder is a TopK autoencoder of the residual stream (its norms say which rows are sinks, which stay as they are), --npz
the folder of `actfleet export CODER --format npz`. The whole command is timed for both, with loading; for transformers
also the passes alone.
"""
import argparse, glob, json, os, statistics, subprocess, sys, time
import numpy as np, pyarrow.parquet as pq, torch
from transformers import AutoModelForCausalLM


class Coder:
    def __init__(self, folder, npz):
        card = json.load(open(os.path.join(folder, "cfg.json")))
        self.layer, self.k = card["layer"], card["k"]
        norms = card["norms"][0]
        self.limit, self.sinks = norms["limit"], [p["pos"] for p in norms.get("positions", [])]
        w = {name: torch.from_numpy(a) for name, a in np.load(os.path.join(npz, "params.npz")).items()}
        self.encode = lambda x: torch.addmm(w["b_enc"], x, w["W_enc"])
        self.decode = lambda f: torch.addmm(w["b_dec"], f, w["W_dec"])

    def ordinary(self, x, real):
        """Which of x [B, T, D] are replaced."""
        keep = real & (x.norm(dim=-1) <= self.limit)
        keep[:, self.sinks] = False
        return keep

    def reconstruct(self, x):
        top = self.encode(x).topk(self.k, dim=-1)
        return self.decode(torch.zeros(len(x), self.encode(x[:1]).shape[1]).scatter_(1, top.indices, top.values.clamp(min=0)))


def batches(ids, budget):
    order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
    while order:
        n = 1
        while n < len(order) and (n + 1) * len(ids[order[n]]) <= budget:
            n += 1
        yield [ids[i] for i in order[:n]]
        order = order[n:]


def patched(model, coder, ids, budget):
    """The sums of ce_clean, ce_coder, ce_zero, kl_coder and kl_zero, and how many tokens and positions they are of."""
    sums, tokens, positions = torch.zeros(5, dtype=torch.float64), 0, 0
    block, inner = model.model.layers[coder.layer], {}

    def hook(module, args, out):
        x = out[0] if isinstance(out, tuple) else out
        if "x" not in inner:
            inner["x"] = x
        elif inner["put"] is not None:
            x = x.clone()
            x[inner["where"]] = inner["put"]
        return (x,) + out[1:] if isinstance(out, tuple) else x

    handle = block.register_forward_hook(hook)
    for part in batches(ids, budget):
        steps = max(map(len, part))
        put = torch.zeros(len(part), steps, dtype=torch.long)
        real = torch.zeros(len(part), steps, dtype=torch.bool)
        for i, p in enumerate(part):
            put[i, : len(p)], real[i, : len(p)] = torch.tensor(p), True
        inner.clear()
        forward = lambda: model.model(input_ids=put, use_cache=False).last_hidden_state
        states = [forward()]
        where = coder.ordinary(inner["x"], real)
        first = torch.where(where.any(1), where.int().argmax(1), steps)
        count = real & (torch.arange(steps) >= first[:, None])
        inner["where"], x = where, inner["x"][where]
        for inner["put"] in (coder.reconstruct(x), torch.zeros_like(x)):
            states.append(forward())
        clean, coded, zero = (torch.log_softmax(model.lm_head(s[count]), -1) for s in states)
        nxt = torch.cat([put[:, 1:], torch.full((len(part), 1), -1)], 1)
        nxt = torch.where(torch.cat([real[:, 1:], torch.zeros(len(part), 1, dtype=torch.bool)], 1), nxt, -1)[count]
        has = nxt >= 0
        at = torch.arange(len(nxt))[has], nxt[has]
        sums += torch.stack([-p[at].sum() for p in (clean, coded, zero)] +
                            [(clean.exp() * (clean - p)).sum() for p in (coded, zero)]).double()
        tokens, positions = tokens + int(has.sum()), positions + len(nxt)
    handle.remove()
    return sums, tokens, positions


def timed(f):
    """What f returns, and the seconds by the clock and of the processor, its children's too."""
    clock, before = time.perf_counter(), os.times()
    out = f()
    after = os.times()
    return out, (time.perf_counter() - clock, sum(after[:4]) - sum(before[:4]))


def peer(a):
    """One process: loads the model, does the passes and prints both."""
    torch.set_num_threads(a.threads)
    torch.set_grad_enabled(False)
    with torch.inference_mode():
        model = AutoModelForCausalLM.from_pretrained(a.model, dtype=torch.float32, attn_implementation="sdpa").eval()
        ids = pq.read_table(glob.glob(os.path.join(a.run, "input", "*"))[0])["ids"].to_pylist()
        (sums, tokens, positions), took = timed(lambda: patched(model, Coder(a.coder, a.npz), ids, a.budget))
    means = [v / n for v, n in zip(sums.tolist(), [tokens] * 3 + [positions] * 2)]
    print(json.dumps({"metrics": dict(zip(METRICS, means)), "passes": took}))


METRICS = ["ce_clean", "ce_coder", "ce_zero", "kl_coder", "kl_zero"]


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("model", "run", "coder", "npz", "actfleet"):
        p.add_argument("--" + name, required=True)
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--budget", type=int, default=1024)
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--peer", action="store_true", help=argparse.SUPPRESS)
    a = p.parse_args()
    if a.peer:
        return peer(a)
    n = pq.read_metadata(glob.glob(os.path.join(a.run, "input", "*"))[0]).num_rows
    ours = [a.actfleet, "eval", a.coder, "--from", a.run, "--model", a.model, "--all", "--prompts", str(n), "--threads", str(a.threads), "--json"]
    took = {}
    for _ in range(a.rounds):
        out, t = timed(lambda: subprocess.run([sys.executable, *sys.argv, "--peer"], check=True, capture_output=True).stdout)
        theirs = json.loads(out)
        took.setdefault("transformers", []).append(t)
        took.setdefault("its passes alone", []).append(theirs["passes"])
        out, t = timed(lambda: subprocess.run(ours, check=True, capture_output=True).stdout)
        took.setdefault("actfleet", []).append(t)
        metrics = json.loads(out)[0]["metrics"]
    for name in METRICS:
        print(f"{name:10} transformers {theirs['metrics'][name]:.6f} actfleet {metrics[name]:.6f}")
    print(f"{n} prompts, {a.threads} threads, torch {torch.__version__}, median of {a.rounds}, load {os.getloadavg()[0]:.1f}")
    for name, t in took.items():
        print(f"{name:18}" + "".join(f" {what} {statistics.median(v):7.1f} s ({', '.join(f'{x:.1f}' for x in v)})"
                                     for what, v in zip(("clock", "processor"), zip(*t))))


if __name__ == "__main__":
    main()
