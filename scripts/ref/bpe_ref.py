#!/usr/bin/env python3
"""Makes the reference of package bpe: small tokenizers and what the tokenizers library does with many texts.

    pip install tokenizers
    python scripts/ref/bpe_ref.py collector/model/bpe/testdata

Writes, all from one seed:
  NAME.tokenizer.json.gz   three tokenizers: gpt2 (as GPT-2 and Phi), neox (as Pythia: NFC, added tokens that are
                           normalised, a beginning token by template), odd (prefix space, ignore_merges, unknown bytes)
  NAME.cases.jsonl.gz      one line per text: {"t": text, "ids": […], "sp": ids with specials, "d": decoded}
  classes.json.gz          [[first, last, class], …]: the class of every character in the split pattern (1 letter,
                           2 number, 3 space; others are left out)
"""
import gzip
import json
import random
import sys
import tokenizers
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

SEED = 20261
VOCAB = 900
CASES = {"gpt2": 2000, "neox": 1000, "odd": 600}

WORDS = """the of and to in a is that for it as was with be by on not he his but at are this have from or had an they
which one you were all her she there would their we him been has when who will no more if out so up said what its about
than into them can only other time new some could these two may first then do any like my now over such our man me even
most made after also did many fore must through years where much your way well down should because each just those
people how too little state good very make world still see own work long get here between both life being under never
day same another know while last might us great old year off come since against go came right used take three true
false capital city number larger smaller opposite word translate not'em don't can't I'm we'll they've he'd it's you're
function return import class value index error while for print self none model layer token attention""".split()
OTHER = ["naïve café Müller straße", "привет мир это проверка", "你好世界真的吗", "こんにちは世界がぎぐ", "안녕하세요 세계", "Ελλάδα καλημέρα",
         "مرحبا بالعالم", "हिन्दी में पाठ", "עברית", "ไทย", "👩‍👩‍👧‍👦 👍🏽 🇩🇪 😀", "½ ² ③ Ⅷ ٣ १२३", "∑∂x ≠ ∞ → ←"]


def corpus(rng):
    """Lines of words, numbers and code, some of them in other scripts."""
    for _ in range(3000):
        yield " ".join(rng.choice(WORDS) for _ in range(rng.randint(3, 20))) + rng.choice([".", "?", "!\n", ",", ""])
        if rng.random() < 0.3:
            yield "    " * rng.randint(0, 3) + f"x{rng.randint(0, 99)} = {rng.randint(0, 9999)}  # {rng.choice(WORDS)}\n"
        if rng.random() < 0.2:
            yield rng.choice(OTHER)


def trained(rng):
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(vocab_size=VOCAB, special_tokens=["<|endoftext|>"], show_progress=False,
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    t.train_from_iterator(corpus(rng), trainer)
    t.decoder = decoders.ByteLevel()
    return t


def gpt2(base):
    t = Tokenizer.from_str(base.to_str())
    t.post_processor = processors.ByteLevel(trim_offsets=False)
    t.add_tokens([AddedToken(" " * n, normalized=True) for n in range(8, 1, -1)])
    t.add_tokens([AddedToken("\t" * n, normalized=False) for n in range(4, 1, -1)])
    return t


def neox(base):
    t = Tokenizer.from_str(base.to_str())
    t.normalizer = normalizers.Sequence([normalizers.NFC()])
    t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.ByteLevel(add_prefix_space=False)])
    t.add_special_tokens([AddedToken("<|bos|>", special=True), AddedToken("<mask>", lstrip=True, special=True),
                          AddedToken("<end>", rstrip=True, special=True), AddedToken("<both>", lstrip=True, rstrip=True, special=True)])
    t.add_tokens([AddedToken("cafe\u0301", normalized=True), AddedToken("word", single_word=True),
                  AddedToken("wo", single_word=True, normalized=False), AddedToken("  \n", normalized=False)])
    t.post_processor = processors.Sequence([
        processors.ByteLevel(trim_offsets=True),
        processors.TemplateProcessing(single="<|bos|> $A <|endoftext|>", special_tokens=[
            ("<|bos|>", t.token_to_id("<|bos|>")), ("<|endoftext|>", t.token_to_id("<|endoftext|>"))]),
    ])
    return t


def odd(base):
    """Some byte symbols are missing: their bytes become the unknown token."""
    d = json.loads(base.to_str())
    gone = {s for s in "Zqà" if s in d["model"]["vocab"]}
    d["model"]["merges"] = [m for m in d["model"]["merges"] if not gone & set("".join(m))]
    kept = [s for s, _ in sorted(d["model"]["vocab"].items(), key=lambda kv: kv[1]) if not gone & set(s)]
    d["model"]["vocab"] = {s: i for i, s in enumerate(kept)}
    # A word no merge leads to: only ignore_merges finds it.
    d["model"]["vocab"]["Ġattentively"] = len(kept)
    d["model"].update(ignore_merges=True, unk_token="<|endoftext|>", fuse_unk=True)
    d["model"]["merges"] = [" ".join(m) for m in d["model"]["merges"]]
    d["pre_tokenizer"]["add_prefix_space"] = True
    return Tokenizer.from_str(json.dumps(d)), json.dumps(d, ensure_ascii=False)


def character(rng):
    pools = [(0x20, 0x7e), (0, 0x1f), (0x7f, 0xff), (0x100, 0x24f), (0x300, 0x36f), (0x370, 0x52f), (0x5d0, 0x6ff),
             (0x900, 0xdff), (0x1100, 0x11ff), (0x2000, 0x206f), (0x2070, 0x218f), (0x3000, 0x30ff), (0x4e00, 0x4eff),
             (0xac00, 0xacff), (0xfb00, 0xfdff), (0xfe00, 0xffef), (0x1d400, 0x1d7ff), (0x1f300, 0x1f6ff), (0xe0000, 0xe007f)]
    lo, hi = rng.choice(pools)
    return chr(rng.randint(lo, hi))


PIECES = [
    lambda r: r.choice(WORDS), lambda r: " " + r.choice(WORDS), lambda r: " " * r.randint(1, 12), lambda r: "\t" * r.randint(1, 5),
    lambda r: "\n" * r.randint(1, 4), lambda r: r.choice(["\r\n", "\r", "\r\n\r\n", " \n", "\n ", "\u00a0", "\u3000", "\u2028", "\x85", "\v", "\f"]),
    lambda r: str(r.randint(0, 10 ** r.randint(1, 9))), lambda r: r.choice(["'s", "'t", "'re", "'ve", "'m", "'ll", "'d", "'S", "'", "''", "’s", " 'll", "'LL", "'l", "'r"]),
    lambda r: r.choice(OTHER), lambda r: "".join(r.choice("!?.,;:-_()[]{}<>/\\|@#$%^&*+=~`\"") for _ in range(r.randint(1, 5))),
    lambda r: "".join(character(r) for _ in range(r.randint(1, 4))),
    lambda r: r.choice("aeoucnAEK") + "".join(chr(r.randint(0x300, 0x345)) for _ in range(r.randint(1, 4))),
    lambda r: "".join(r.choice("\u1100\u1101\u1161\u1162\u11a8\u11a9\uac00\uac01") for _ in range(r.randint(1, 5))),
    lambda r: r.choice(["<|endoftext|>", "<|bos|>", "<mask>", "<end>", "<both>", "café", "cafe\u0301", "word", "wo", "words", "word_", "-word-", "  \n", "<|endoftext", "<mask", " <mask> ", " <end>  ", "\t<both>\n", "<end>  \n"]),
    lambda r: "".join(r.choice("aábcXYZq") for _ in range(r.randint(1, 40))), lambda r: " attentively", lambda r: r.choice(["ZZ", "Zq", "qqZ", "à"]),
]


def texts(rng, n):
    yield from ["", " ", "  ", "\n", "a", "a\n\nb", "foo\n\n\nbar", "\t\t", "\t\tx", "a  b", "hi  ", "x   = 1", "'", "'s", " 's", "''s", "\u0301",
                "a" + "\u0301" * 40, "q" + "\u0323\u0307" * 33 + "b", "é" * 40, "x" * 300, "ab" * 400,
                "\U000e0075\u0301", "e\U000e0075\u0301\u0308 u\u0301", "\U00011099\u0301\U000110ba", "\U0001d15e\U0001d165"]
    for _ in range(n - 26):
        yield "".join(rng.choice(PIECES)(rng) for _ in range(rng.randint(1, rng.choice([3, 8, 20]))))


def write(path, text):
    with open(path, "wb") as f, gzip.GzipFile(fileobj=f, mode="wb", filename="", mtime=0) as z:
        z.write(text.encode())


def cases(t, rng, n):
    for text in texts(rng, n):
        ids = t.encode(text, add_special_tokens=False).ids
        sp = t.encode(text, add_special_tokens=True).ids
        yield json.dumps({"t": text, "ids": ids, "sp": sp, "d": t.decode(ids, skip_special_tokens=False)}, ensure_ascii=False)


def classes():
    """The class of each character as the library's regular expressions see it."""
    split = [pre_tokenizers.Split(Regex(p), "removed") for p in (r"\p{L}", r"\p{N}", r"\s")]
    runs = []
    for c in range(0x110000):
        if 0xd800 <= c < 0xe000:
            continue
        k = next((i + 1 for i, s in enumerate(split) if not s.pre_tokenize_str(chr(c))), 0)
        if not k:
            continue
        if runs and runs[-1][2] == k and runs[-1][1] == c - 1:
            runs[-1][1] = c
        else:
            runs.append([c, c, k])
    return runs


def main(out):
    rng = random.Random(SEED)
    base = trained(rng)
    made = {"gpt2": gpt2(base), "neox": neox(base)}
    files = {name: t.to_str() for name, t in made.items()}
    made["odd"], files["odd"] = odd(base)
    for name, t in made.items():
        write(f"{out}/{name}.tokenizer.json.gz", files[name])
        write(f"{out}/{name}.cases.jsonl.gz", "\n".join(cases(t, rng, CASES[name])) + "\n")
    write(f"{out}/classes.json.gz", json.dumps(classes()))
    print("tokenizers", tokenizers.__version__)


if __name__ == "__main__":
    main(sys.argv[1])
