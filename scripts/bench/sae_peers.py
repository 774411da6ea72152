#!/usr/bin/env python3
"""TopK autoencoders by actfleet, sparsify, dictionary_learning and SAELens on the same rows: the time of a step, FVU
after equal rows, peak memory, and how many of the planted directions each finds.

Every side is a process of its own with the same number of threads; they take --chunk steps in turn, so that a busy
machine is busy for all, and the medians of their steps are compared. The others' steps are the bodies of their own
training loops (forward, backward, clipping, decoder norms, Adam, dead counters) without logging and data loading.
All learn with the same k, width, batch and rate, which rises over --warmup and falls to 0 over --cooldown of the steps,
and take a latent for dead after a tenth of all rows; the rest is each one's own: init, auxiliary loss, clipping. The
rows are sums of --k of 2 d planted directions about a mean, with unit mean square, and 1 % noise. sparsify runs without
its Triton kernels, as on every CPU. --at prints FVU and the directions found on the way, too.

python scripts/bench/sae_peers.py --d 512 --width 8192 [--steps 60] [--actfleet bin/actfleet] [--json]
python scripts/bench/sae_peers.py --d 128 --width 1024 --k 16 --steps 2000 --at 200,500 --seed 1
needs torch, sae-lens, eai-sparsify and dictionary-learning; a side that cannot be imported is left out by name.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np

SIDES = ["actfleet", "sparsify", "dictionary_learning", "saelens"]


def options():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--d", type=int, default=512)
    p.add_argument("--width", type=int, default=8192)
    p.add_argument("--k", type=int, default=32)
    p.add_argument("--batch", type=int, default=2048)
    p.add_argument("--steps", type=int, default=60)
    p.add_argument("--chunk", type=int, default=5, help="steps in turn")
    p.add_argument("--lr", type=float, default=1e-3)
    p.add_argument("--warmup", type=float, default=0.05, help="share of the steps over which the rate rises")
    p.add_argument("--cooldown", type=float, default=0.2, help="share of the steps over which it falls to 0")
    p.add_argument("--at", default="", help="steps after which quality is measured besides, by commas")
    p.add_argument("--seed", type=int, default=1, help="of the rows and of what each side draws")
    p.add_argument("--threads", type=int, default=os.cpu_count())
    p.add_argument("--actfleet", default="bin/actfleet")
    p.add_argument("--only", default=",".join(SIDES), help="sides, by commas")
    p.add_argument("--json", action="store_true")
    p.add_argument("--worker", help=argparse.SUPPRESS)
    p.add_argument("--rows", help=argparse.SUPPRESS)
    o = p.parse_args()
    o.dead = max(o.batch * o.steps // 10, 1)
    return o


def rate(o, step):
    """The learning rate of a step, as `actfleet train` has it."""
    rise, fall = o.warmup * o.steps, o.cooldown * o.steps
    return o.lr * min(1, (step + 1) / max(rise, 1), (o.steps - step) / max(fall, 1))


# ---- the data


def planted(o, path, rows, seed):
    """Writes rows of float32 to path and returns the directions."""
    rng = np.random.default_rng((o.seed, 0))
    dirs = rng.standard_normal((2 * o.d, o.d)).astype(np.float32)
    dirs /= np.linalg.norm(dirs, axis=1, keepdims=True)
    mean = rng.standard_normal(o.d).astype(np.float32)
    rng = np.random.default_rng((o.seed, seed))
    scale = None
    with open(path, "wb") as out:
        for at in range(0, rows, o.batch):
            n = min(o.batch, rows - at)
            x = np.zeros((n, o.d), np.float32)
            for _ in range(o.k):
                x += dirs[rng.integers(0, len(dirs), n)] * rng.uniform(0.5, 1.5, (n, 1)).astype(np.float32)
            x += 0.01 * rng.standard_normal(x.shape).astype(np.float32)
            if scale is None:  # the variance is that of k independent terms
                scale = np.float32(1 / np.sqrt(x.var(axis=0).mean()))
            out.write((x * scale + mean).astype(np.float32).tobytes())
    return dirs


# ---- the sides, each a generator of steps and a plain model at the end


class Sparsify:
    def __init__(self, o, first):
        os.environ["SPARSIFY_DISABLE_TRITON"] = "1"
        import torch
        from sparsify import SparseCoder, SparseCoderConfig

        self.dead = o.dead
        self.sae = SparseCoder(o.d, SparseCoderConfig(num_latents=o.width, k=o.k, activation="topk"))
        self.sae.b_dec.data = first.mean(0)
        self.opt = torch.optim.Adam(self.sae.parameters(), lr=o.lr)
        self.since = torch.zeros(o.width, dtype=torch.long)
        self.fired = torch.zeros(o.width, dtype=torch.bool)

    def step(self, x):
        sae = self.sae
        if sae.cfg.normalize_decoder:
            sae.set_decoder_norm_to_unit_norm()
        out = sae(x=x, y=x, dead_mask=self.since > self.dead)
        self.fired[out.latent_indices.flatten()] = True
        (out.fvu + out.auxk_loss / 32).backward()
        sae.remove_gradient_parallel_to_decoder_directions()
        self.opt.step()
        self.opt.zero_grad()
        self.since += len(x)
        self.since[self.fired] = 0
        self.fired.zero_()

    def model(self):
        s = self.sae
        w = s.encoder.weight.T
        return w, s.encoder.bias - s.b_dec @ w, s.W_dec, s.b_dec


class DictionaryLearning:
    def __init__(self, o, first):
        from dictionary_learning.trainers.top_k import TopKTrainer

        self.t = TopKTrainer(steps=1 << 30, activation_dim=o.d, dict_size=o.width, k=o.k, layer=0, lm_name="none", lr=o.lr,
                             warmup_steps=0, device="cpu", seed=o.seed)
        self.t.dead_feature_threshold, self.opt = o.dead, self.t.optimizer
        self.t.ae.b_dec.data = first.mean(0)
        self.n = 1  # its step 0 computes a geometric median, which is no part of a step's time

    def step(self, x):
        self.t.update(self.n, x)
        self.n += 1

    def model(self):
        a = self.t.ae
        w = a.encoder.weight.T
        return w, a.encoder.bias - a.b_dec @ w, a.decoder.weight.T, a.b_dec


class SAELens:
    def __init__(self, o, first):
        from sae_lens.config import SAETrainerConfig
        from sae_lens.saes.topk_sae import TopKTrainingSAE, TopKTrainingSAEConfig
        from sae_lens.training.sae_trainer import SAETrainer

        sae = TopKTrainingSAE(TopKTrainingSAEConfig(d_in=o.d, d_sae=o.width, k=o.k, dtype="float32", device="cpu"))
        sae.b_dec.data = first.mean(0)
        cfg = SAETrainerConfig(total_training_samples=1 << 40, train_batch_size_samples=o.batch, lr=o.lr, lr_end=o.lr,
                               dead_feature_window=max(o.dead // o.batch, 1))
        self.t = SAETrainer(cfg=cfg, sae=sae, data_provider=iter(()))
        self.opt = self.t.optimizer

    def step(self, x):
        self.t._train_step(sae=self.t.sae, sae_in=x)
        self.t.n_training_steps += 1

    def model(self):
        s, torch = self.t.sae, __import__("torch")
        norm = s.W_dec.norm(dim=1) if getattr(s.cfg, "rescale_acts_by_decoder_norm", False) else torch.ones(len(s.W_dec))
        w = s.W_enc * norm
        b = s.b_enc * norm
        centred = s.b_dec @ w if s.cfg.apply_b_dec_to_input else 0
        return w, b - centred, s.W_dec / norm[:, None], s.b_dec


WORKERS = {"sparsify": Sparsify, "dictionary_learning": DictionaryLearning, "saelens": SAELens}


def worker(o):
    """One of the others: the protocol of `actfleet bench sae --rows`."""
    import torch

    torch.set_num_threads(o.threads)
    torch.manual_seed(o.seed)
    rows = np.memmap(o.rows, np.float32).reshape(-1, o.d)
    at = 0

    def batch():
        return torch.from_numpy(np.array(rows[at : at + o.batch]))

    side = WORKERS[o.worker](o, batch())
    print("{}", flush=True)
    for line in sys.stdin:
        verb, *args = line.split()
        seconds = []
        if verb == "save":
            os.makedirs(args[0])
            arrays = zip(("W_enc", "b_enc", "W_dec", "b_dec"), side.model())
            np.savez(os.path.join(args[0], "params.npz"), k=o.k, **{k: v.detach().numpy() for k, v in arrays})
        for lr in map(float, args if verb == "step" else ()):
            x = batch()
            at += o.batch
            for group in side.opt.param_groups:
                group["lr"] = lr
            began = time.perf_counter()
            side.step(x)
            seconds.append(time.perf_counter() - began)
        print(json.dumps({"seconds": seconds}), flush=True)


# ---- the comparison


class Side:
    def __init__(self, name, o, rows):
        self.name, self.seconds, self.matmuls = name, [], []
        same = ["--d", o.d, "--width", o.width, "--k", o.k, "--batch", o.batch, "--seed", o.seed, "--threads", o.threads, "--rows", rows]
        call = [o.actfleet, "bench", "sae", "--dead", o.dead]
        if name != "actfleet":
            call = [sys.executable, os.path.abspath(__file__), "--worker", name, "--steps", o.steps, "--lr", o.lr]
        env = dict(os.environ, OMP_NUM_THREADS=str(o.threads), MKL_NUM_THREADS=str(o.threads), GOMAXPROCS=str(o.threads), OMP_WAIT_POLICY="PASSIVE")
        self.log = tempfile.TemporaryFile("w+")
        self.p = subprocess.Popen([str(c) for c in call + same], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log, text=True, env=env)

    def answer(self):
        while line := self.p.stdout.readline():
            if line.startswith("{"):  # packages may print on their way
                return json.loads(line)
        self.log.seek(0)
        raise RuntimeError(f"{self.name}: {self.log.read().strip()[-600:]}")

    def tell(self, line):
        self.p.stdin.write(line + "\n")
        self.p.stdin.flush()
        return self.answer()

    def step(self, rates):
        got = self.tell("step " + " ".join(map(str, rates)))
        self.seconds += got["seconds"]
        self.matmuls += [got["matmul"]] if "matmul" in got else []

    def peak(self):
        with open(f"/proc/{self.p.pid}/status") as f:
            return next(int(line.split()[1]) / 1024 for line in f if line.startswith("VmHWM"))


def quality(path, x, dirs, k):
    w = np.load(os.path.join(path, "params.npz"))
    err, l0 = 0.0, 0
    for part in np.array_split(x, max(len(x) // 1024, 1)):
        a = part @ w["W_enc"] + w["b_enc"]
        idx = np.argpartition(-a, k - 1, axis=1)[:, :k]
        f = np.zeros_like(a)
        np.put_along_axis(f, idx, np.maximum(np.take_along_axis(a, idx, 1), 0), 1)
        err += ((f @ w["W_dec"] + w["b_dec"] - part).astype(np.float64) ** 2).sum()
        l0 += (f > 0).sum()
    dec = w["W_dec"] / np.maximum(np.linalg.norm(w["W_dec"], axis=1, keepdims=True), 1e-12)
    return {"fvu": err / ((x - x.mean(0)).astype(np.float64) ** 2).sum(), "l0": l0 / len(x), "recovered": float((dirs @ dec.T).max(axis=1).mean())}


def main(o):
    with tempfile.TemporaryDirectory() as tmp:
        rows, held = os.path.join(tmp, "rows"), os.path.join(tmp, "held")
        dirs = planted(o, rows, o.batch * o.steps, 1)
        planted(o, held, 8192, 2)
        sides = []
        for name in o.only.split(","):
            side = Side(name, o, rows)
            try:
                side.answer()
                sides.append(side)
            except RuntimeError as err:
                print(f"left out: {err}", file=sys.stderr)
        x, out = np.fromfile(held, np.float32).reshape(-1, o.d), []

        def saved(side, at):
            path = os.path.join(tmp, f"{side.name}-{at}")
            side.tell(f"save {path}")
            return {"step": at, **quality(path, x, dirs, o.k)}

        stops = sorted({int(v) for v in o.at.split(",") if v})
        at, curves = 0, {side.name: [] for side in sides}
        while at < o.steps:
            to = min([o.steps, at + o.chunk] + [s for s in stops if s > at])
            for side in sides:
                side.step([rate(o, i) for i in range(at, to)])
                if to in stops:
                    curves[side.name].append(saved(side, to))
            at = to
            if sys.stderr.isatty():
                print(f"\r{at} of {o.steps} steps", end="", file=sys.stderr)
        for side in sides:
            peak = side.peak()
            end = saved(side, o.steps)
            side.p.stdin.close()
            side.p.wait()
            steady = side.seconds[min(o.chunk, len(side.seconds) // 2) :]  # the first ones warm up
            out.append({"side": side.name, "step_ms": 1e3 * statistics.median(steady), "peak_mb": peak, "curve": curves[side.name], **end})
            if side.matmuls:
                out[-1]["matmul_ms"] = 1e3 * statistics.median(side.matmuls)
        show(o, out)


def show(o, out):
    if o.json:
        print(json.dumps({"options": vars(o), "load": os.getloadavg(), "sides": out}, indent=1))
        return
    print(f"d {o.d}, {o.width} latents, TopK {o.k}, batch {o.batch}, {o.steps} steps in turns of {o.chunk}, {o.threads} threads, load {os.getloadavg()[0]:.1f}")
    print(f"{'':22}{'step ms':>9}{'× ours':>9}{'peak MB':>9}{'FVU':>9}{'L0':>7}{'planted directions':>20}")
    for s in out:
        times = s["step_ms"] / out[0]["step_ms"]
        print(f"{s['side']:22}{s['step_ms']:9.1f}{times:9.2f}{s['peak_mb']:9.0f}{s['fvu']:9.4f}{s['l0']:7.1f}{s['recovered']:20.4f}")
    for s in out if o.at else ():
        print(f"{s['side']:22}" + "  ".join(f"step {c['step']}: FVU {c['fvu']:.4f}, directions {c['recovered']:.4f}" for c in s["curve"]))
    if "matmul_ms" in out[0]:
        print(f"the encoder's product alone: {out[0]['matmul_ms']:.1f} ms, a step is {out[0]['step_ms'] / out[0]['matmul_ms']:.2f} times that")


if __name__ == "__main__":
    opts = options()
    worker(opts) if opts.worker else main(opts)
