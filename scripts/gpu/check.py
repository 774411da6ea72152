#!/usr/bin/env python3
"""Measures and proves on a GPU what tests cannot show: see docs/gpu.md. Started by check.sh.

Each step prints one JSON line as it ends, with the machine, the GPU and the commit; a step that fails says why and does not
stop the others. Exit status: 0 when none failed, 1 otherwise. Steps that cannot run here (no transformers, say) are
"skipped". No step takes longer than its limit, and all together no longer than --seconds.
"""
import argparse, filecmp, glob, importlib.util, json, os, re, shutil, signal, statistics, subprocess, sys, tempfile, threading, time

import checkpoint

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class Skip(Exception):
    """The step cannot run here."""


class Check:
    def __init__(self, toy, seconds, work):
        self.toy, self.work = toy, work
        self.deadline = time.monotonic() + seconds
        self.step_ends = self.deadline
        self.failed = 0
        self.config = checkpoint.TINY if toy else checkpoint.LLAMA_8B
        self.tokens = 32 if toy else 512  # of a prompt
        self.writes = {}  # write(2), bytes a second, by threads
        self.ours = {}  # tokens a second
        self.model = None
        self.who = {"machine": machine(), "gpu": None, "commit": None, "toy": toy}

    def actfleet(self, *args, ok=(0,), env=None):
        """Runs the program within the step's time and returns its standard output and error."""
        left = self.step_ends - time.monotonic()
        p = subprocess.Popen([os.path.join(ROOT, "bin", "actfleet"), *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                             start_new_session=True, env={**os.environ, **(env or {})})
        try:
            out, err = p.communicate(timeout=max(left, 1))
        except subprocess.TimeoutExpired:
            os.killpg(p.pid, signal.SIGKILL)
            p.communicate()
            raise RuntimeError(f"actfleet {args[0]} took longer than the step's limit") from None
        if p.returncode not in ok:
            said = err.strip().splitlines() or [out[-300:]]
            raise RuntimeError(f"actfleet {' '.join(args[:2])} ended with {p.returncode}: {said[0] if 'goroutine ' in err else said[-1]}")
        return out, err

    def bench(self, *args):
        """The lines of `bench collect`, by name."""
        out, _ = self.actfleet("bench", "collect", "--json", "--device", "cuda:0", "--model", self.need(self.model), "--dir", self.work, *args)
        return {line["name"]: line for line in json.loads(out)}

    def need(self, what):
        if what is None:
            raise Skip("a step before it gave nothing to go on with")
        return what

    def step(self, name, limit, run):
        began = time.monotonic()
        self.step_ends = min(began + limit, self.deadline)
        line = {"step": name, "ok": True}
        try:
            if self.step_ends - began < 3:
                raise Skip("no time was left")
            line |= run()
        except Skip as why:
            line |= {"ok": None, "skipped": str(why)}
        except Exception as why:  # whatever it is, the next step runs
            line |= {"ok": False, "error": f"{type(why).__name__}: {why}"}
        self.failed += line["ok"] is False
        print(json.dumps({**line, "seconds": round(time.monotonic() - began, 1), **self.who}), flush=True)

    # --- the steps ---

    def doctor(self):
        self.who["commit"] = json.loads(self.actfleet("version", "--json")[0])["actfleet"]
        out, _ = self.actfleet("doctor", "--json", "--dir", self.work, ok=(0, 1))
        found = {f["what"]: f for f in json.loads(out)}
        gpus = found["devices"].get("gpus") or []
        if not gpus:
            raise RuntimeError(found["devices"]["found"])
        self.who["gpu"] = gpus[0]["name"]
        return {"devices": found["devices"]["found"], "libtorch": found["libtorch"]["found"], "gpus": gpus, "products": found["products"].get("products")}

    def write2(self):
        """write(2) of memory that is in no cache, to the folder the shards go to."""
        size = 64 << 20 if self.toy else 2 << 30
        for threads in (1, 2) if self.toy else (1, 4, 8):
            self.writes[threads] = parallel_write(self.work, threads, size)
        return {"bytes_per_second": self.writes}

    def precision(self):
        """Every fixture on the GPU beside fp32 on the CPU. In few bits a mixture may choose other experts, hence medians."""
        folders = sorted(glob.glob(os.path.join(ROOT, "collector", "model", "modeltest", "testdata", "*", "config.json")))
        folders = [os.path.dirname(f) for f in folders][:: 14 if self.toy else 1]
        args = [a for f in folders for a in ("--model", f)]
        out, _ = self.actfleet("bench", "precision", "--json", "--device", "cuda:0", "--compute", "f32,tf32,bf16", *args)
        result, bounds = {"models": len(folders)}, {"f32": 1e-3, "tf32": 5e-2, "bf16": 3e-1}
        for dtype, bound in bounds.items():
            lines = [line for line in json.loads(out) if line["compute"] == dtype]
            worst = max(lines, key=lambda line: line["taps_by_rms"])
            middle = statistics.median(line["taps_by_rms"] for line in lines)
            result[dtype] = {"median_by_rms": middle, "worst_by_rms": worst["taps_by_rms"], "worst": f"{worst['model']} {worst['worst']}", "bound_of_median": bound}
            if middle > bound:
                raise RuntimeError(f"{dtype}: {result[dtype]}")
        return result

    def checkpoint(self):
        if shutil.disk_usage(self.work).free < room(self.toy):
            raise Skip(f"{self.work} has no room for the model and its shards: set TMPDIR")
        folder = os.path.join(self.work, "model")
        size = checkpoint.make(folder, self.config)
        checkpoint.prompts(self.data, 8 if self.toy else 64, self.tokens, self.config["vocab_size"])
        self.model = folder
        return {"bytes": size}

    @property
    def data(self):
        return os.path.join(self.work, "prompts.jsonl")

    def one_tap(self):
        """The bare pass and the last layer's output at the last token."""
        lines = self.bench("--data", self.data, "--sites", "resid", "--layers", "-1", "--tokens", "last", "--rounds", "1" if self.toy else "3")
        full, count = lines["collect, all taps, written"], self.tokens * (8 if self.toy else 64)
        self.ours |= {"bare": count / full["limit"], "one_tap": count / full["value"]}
        of_bare = full["limit"] / full["value"]
        return {"tokens_per_second": self.ours, "aim_bare": 28000, "of_bare": of_bare, "aim_of_bare": 0.9, "reached": self.ours["bare"] >= 28000 and of_bare >= 0.9}

    def all_taps(self):
        lines = self.bench("--data", self.data, "--limit", "8", "--tokens", "all", "--rounds", "1" if self.toy else "2")
        rate, best = lines["activations"]["value"] * 1e6, max(self.need(self.writes or None).values())
        self.ours["all_taps"] = lines["rows"]["value"]
        return {"tokens_per_second": lines["rows"]["value"], "bytes_per_second": rate, "of_write2": rate / best, "aim_of_write2": 0.9, "reached": rate >= 0.9 * best}

    def peer(self):
        """transformers with hooks and pyarrow; on the CPU where this is a toy."""
        missing = [m for m in ("torch", "transformers", "pyarrow", "numpy") if importlib.util.find_spec(m) is None]
        if missing:
            raise Skip(f"this Python has no {', '.join(missing)}")
        args = ["--device", "cpu", "--all-tokens", "64"] if self.toy else []
        p = subprocess.run([sys.executable, os.path.join(ROOT, "scripts", "gpu", "peer.py"), "--model", self.need(self.model), "--data", self.data, "--dir", self.work, *args],
                           capture_output=True, text=True, timeout=max(self.step_ends - time.monotonic(), 1))
        if p.returncode:
            raise RuntimeError(p.stderr.strip().splitlines()[-1])
        theirs = json.loads(p.stdout)
        return {"tokens_per_second": theirs, "ours_to_theirs": {what: rate / theirs[what] for what, rate in self.ours.items()}, "aim": 3}

    def collect(self, out, *more, **how):
        return self.actfleet(*self.collecting(out), *more, **how)

    def collecting(self, out):
        tiny, unit = os.path.join(ROOT, "examples", "tiny-phi"), 20 if self.toy else 60
        return ["collect", "--model", tiny, "--data", os.path.join(tiny, "statements.jsonl"), "--limit", str(10 * unit), "--unit-prompts", str(unit),
                "--tokens", "all", "--device", "cuda:0", "--out", os.path.join(self.work, out)]

    def resume(self):
        """A collection that is killed and resumed, and one that is not: the same bytes."""
        self.collect("whole")
        p = subprocess.Popen([os.path.join(ROOT, "bin", "actfleet"), *self.collecting("killed")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while p.poll() is None and not shards(self.work, "killed"):
            time.sleep(0.01)
            if time.monotonic() > self.step_ends:
                p.kill()
                raise RuntimeError("no unit within the step's limit")
        p.kill()
        p.wait()
        before = len(shards(self.work, "killed"))
        self.collect("killed")
        a, b = shards(self.work, "whole"), shards(self.work, "killed")
        if len(a) != 10 or len(b) != 10 or not all(filecmp.cmp(x, y, shallow=False) for x, y in zip(a, b)):
            raise RuntimeError(f"{len(a)} and {len(b)} shards, and not the same bytes")
        self.actfleet("check", os.path.join(self.work, "killed"))
        return {"units": len(a), "units_before_kill": before}

    def memory(self):
        """A GPU that lacks memory for a batch: it is halved, or one line says so."""
        if self.toy:
            out, err = self.collect("little", ok=(0, 1), env={"FAKEGPU_BYTES": str(12_000_000)})
            return outcome(out, err)
        if importlib.util.find_spec("torch") is None:
            raise Skip("this Python has no torch to fill the GPU with")
        hog = "import sys, torch; free = torch.cuda.mem_get_info()[0]; x = torch.empty(free - (24 << 30), dtype=torch.uint8, device='cuda'); print(1, flush=True); sys.stdin.read()"
        p = subprocess.Popen([sys.executable, "-c", hog], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            if p.stdout.readline().strip() != "1":
                raise RuntimeError("the GPU could not be filled")
            out, err = self.actfleet("collect", "--model", self.need(self.model), "--data", self.data, "--sites", "resid", "--layers", "-1", "--tokens", "last",
                                     "--device", "cuda:0", "--out", os.path.join(self.work, "little"), ok=(0, 1))
        finally:
            p.kill()
            p.wait()
        return outcome(out, err)

    def training(self):
        out, _ = self.actfleet("train", "sae", "--help")
        if "--device" not in out:
            raise Skip("this version trains on the CPU")
        self.actfleet("train", "sae", "--from", os.path.join(self.work, "whole"), "--site", "fc2", "--layers", "1", "--out", os.path.join(self.work, "sae"),
                      "--device", "cuda:0", "--set", "steps=20")
        return {}


def outcome(out, err):
    """What became of a collection without enough memory."""
    if "goroutine " in err or "terminate called" in err:
        raise RuntimeError("it ended with a trace: " + err[-300:])
    short = [line for line in err.splitlines() if "memory" in line]
    return {"complete": "is complete" in out, "said": short[-1] if short else None}


def shards(work, run):
    return sorted(glob.glob(os.path.join(work, run, "acts", "unit-*.parquet")))


def parallel_write(folder, threads, size):
    """Bytes a second of so many threads that each write a file of size bytes, 8 MB at a time."""
    data, paths = os.urandom(8 << 20), [os.path.join(folder, f"write-{i}") for i in range(threads)]

    def write(path):
        f = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for _ in range(size // len(data)):
            os.write(f, data)
        os.close(f)

    running = [threading.Thread(target=write, args=(path,)) for path in paths]
    began = time.perf_counter()
    for t in running:
        t.start()
    for t in running:
        t.join()
    took = time.perf_counter() - began
    for path in paths:
        os.remove(path)
    return threads * size / took


def room(toy):
    """Bytes that the model, and the shards of one step, need."""
    return 1 << 30 if toy else 40 << 30


def machine():
    with open("/proc/cpuinfo") as f:
        name = re.search(r"^model name\s*: (.*)$", f.read(), re.M)
    return f"{os.cpu_count()} cores, {name[1] if name else 'unknown'}"


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--toy", action="store_true", help="everything tiny")
    p.add_argument("--seconds", type=float, default=480)
    a = p.parse_args()
    places = [p for p in (os.environ.get("TMPDIR"), "/dev/shm", tempfile.gettempdir()) if p and os.path.isdir(p)]
    place = next((p for p in places if shutil.disk_usage(p).free >= room(a.toy)), None)
    with tempfile.TemporaryDirectory(prefix="actfleet-gpu-", dir=place) as work:
        c = Check(a.toy, a.seconds, work)
        for name, limit in (("doctor", 30), ("write2", 30), ("precision", 70), ("checkpoint", 40), ("one_tap", 100), ("all_taps", 90),
                            ("peer", 90), ("resume", 30), ("memory", 40), ("training", 30)):
            c.step(name, limit, getattr(c, name))
    sys.exit(1 if c.failed else 0)


if __name__ == "__main__":
    main()
