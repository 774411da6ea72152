#!/usr/bin/env python3
"""Texts to token ids by actfleet and by Hugging Face's tokenizers (Rust) with the same file, texts and threads.

Each round runs `actfleet bench tokenize` once and encode_batch_fast once, which computes no offsets; reading the
tokenizer and the texts is not counted. Medians are printed, by the clock and of processor time, and whether both sides
made equally many tokens.

python scripts/bench/hf_tokenizers.py --model DIR --data texts.jsonl [--threads 2] [--rounds 5] [--actfleet bin/actfleet]
needs tokenizers; DIR has a tokenizer.json, and texts.jsonl a line like {"text": ...} for each text.
"""
import argparse
import json
import os
import resource
import statistics
import subprocess
import time


def options():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--model", required=True)
    p.add_argument("--data", required=True)
    p.add_argument("--threads", type=int, default=os.cpu_count())
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--batch", type=int, default=256, help="texts that Hugging Face's side encodes at once")
    p.add_argument("--actfleet", default="bin/actfleet")
    return p.parse_args()


def processor_time():
    r = resource.getrusage(resource.RUSAGE_SELF)
    return r.ru_utime + r.ru_stime


def theirs(tokenizer, texts, batch):
    """MB/s by the clock and of processor time, and the tokens."""
    size = sum(len(t.encode()) for t in texts) / 1e6
    wall, cpu, tokens = time.perf_counter(), processor_time(), 0
    for i in range(0, len(texts), batch):
        tokens += sum(len(e) for e in tokenizer.encode_batch_fast(texts[i:i + batch]))
    return size / (time.perf_counter() - wall), size / (processor_time() - cpu), tokens


def ours(o):
    out = subprocess.run([o.actfleet, "bench", "tokenize", "--model", o.model, "--data", o.data, "--threads", str(o.threads),
                          "--rounds", "1", "--json"], check=True, capture_output=True, text=True).stdout
    wall, cpu, tokens = json.loads(out)
    return wall["value"], cpu["value"], int(tokens["value"])


def main():
    o = options()
    os.environ["RAYON_NUM_THREADS"] = str(o.threads)
    os.environ["TOKENIZERS_PARALLELISM"] = "true" if o.threads > 1 else "false"
    import tokenizers

    tokenizer = tokenizers.Tokenizer.from_file(os.path.join(o.model, "tokenizer.json"))
    with open(o.data, encoding="utf-8") as f:
        texts = [json.loads(line)["text"] for line in f]
    theirs(tokenizer, texts, o.batch)  # warms up
    rounds = [(ours(o), theirs(tokenizer, texts, o.batch)) for _ in range(o.rounds)]
    for i, how in enumerate(("by the clock", "processor time")):
        a, b = (statistics.median(r[side][i] for r in rounds) for side in (0, 1))
        ratio = statistics.median(r[0][i] / r[1][i] for r in rounds)
        print(f"{how:15} actfleet {a:7.2f} MB/s   tokenizers {tokenizers.__version__} {b:7.2f} MB/s   {ratio:.2f} ×")
    a, b = rounds[-1][0][2], rounds[-1][1][2]
    print(f"{a} tokens" if a == b else f"actfleet made {a} tokens and tokenizers {b}")


if __name__ == "__main__":
    main()
