"""Writes NAME.spans.jsonl.gz beside the tokenizers that bpe_ref.py made: the spans, in code points, that the reference
gives the tokens of the first texts of NAME.cases.jsonl.gz, special tokens around them.

    python scripts/ref/bpe_spans_ref.py collector/model/bpe/testdata
"""
import glob
import gzip
import json
import sys

import tokenizers
from tokenizers import Tokenizer

TEXTS = 500


def main(folder):
    for path in sorted(glob.glob(f"{folder}/*.tokenizer.json.gz")):
        t = Tokenizer.from_str(gzip.open(path, "rt", encoding="utf-8").read())
        name = path.removesuffix(".tokenizer.json.gz")
        with gzip.open(f"{name}.cases.jsonl.gz", "rt", encoding="utf-8") as f:
            texts = [json.loads(line)["t"] for line in f][:TEXTS]
        flat = [[n for span in e.offsets for n in span] for e in t.encode_batch(texts)]
        with open(f"{name}.spans.jsonl.gz", "wb") as f, gzip.GzipFile(fileobj=f, mode="wb", filename="", mtime=0) as z:
            z.write(("\n".join(json.dumps(s, separators=(",", ":")) for s in flat) + "\n").encode())
    print("tokenizers", tokenizers.__version__)


if __name__ == "__main__":
    main(sys.argv[1])
