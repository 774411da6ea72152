#!/usr/bin/env python3
"""Makes the reference of package bpe: small tokenizers and what the tokenizers library does with many texts.

    pip install tokenizers
    python scripts/ref/bpe_ref.py collector/model/bpe/testdata

Writes, all from one seed:
  NAME.tokenizer.json.gz   tokenizers of bytes: gpt2 (as GPT-2 and Phi), neox (as Pythia: NFC, added tokens that are
                           normalised, a beginning token by template), llama3, qwen2, gpt4 (their split pattern as
                           OpenAI writes it), odd (prefix space, ignore_merges, unknown bytes);
                           of characters: llama2 (also TinyLlama and Mistral), mistral (Metaspace), gemma,
                           words (Metaspace of older files), loose (merges over spaces, few byte tokens)
  NAME.cases.jsonl.gz      one line per text: {"t": text, "ids": […], "sp": ids with specials, "d": decoded}
  classes.json.gz          [[first, last, class], …]: the class of every character in the split pattern (1 letter,
                           2 number, 3 space; others are left out)
  wordchars.json.gz        [[first, last], …]: the characters beside which a single_word token is not found
  nfc.json.gz              {"marks": runs of the characters that NFC reorders, "composed": [[text, its NFC], …] for every
                           canonical decomposition but Hangul's}
"""
import gzip
import json
import random
import sys
import unicodedata
import tokenizers
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

SEED = 20261
VOCAB = 900
CASES = {"gpt2": 2000, "neox": 2000, "odd": 600, "llama3": 2000, "qwen2": 2000, "gpt4": 300,
         "llama2": 2000, "mistral": 2000, "gemma": 2000, "words": 500, "loose": 500}
CL100K = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}%s| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
          r"|\s+(?!\S)|\s+")
OPENAI = (r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]"
          r"|\s+(?!\S)|\s+")

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


def cl100k(rng, pattern, behavior="isolated", invert=False, **model):
    """Bytes behind a split by a pattern of the cl100k family."""
    t = Tokenizer(models.BPE(**model))
    t.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(pattern), behavior, invert),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    t.train_from_iterator(corpus(rng), trainers.BpeTrainer(vocab_size=VOCAB, show_progress=False,
                                                           initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    t.decoder = decoders.ByteLevel()
    return t


def llama3(rng):
    t = cl100k(rng, CL100K % "{1,3}", ignore_merges=True)
    t.add_special_tokens(["<|begin_of_text|>", "<|eot_id|>"])
    t.post_processor = processors.Sequence([
        processors.ByteLevel(trim_offsets=False),
        processors.TemplateProcessing(single="<|begin_of_text|> $A", special_tokens=[
            ("<|begin_of_text|>", t.token_to_id("<|begin_of_text|>"))])])
    return t


def qwen2(rng):
    t = cl100k(rng, CL100K % "")
    t.normalizer = normalizers.NFC()
    t.add_special_tokens(["<|endoftext|>", "<|im_start|>", "<|im_end|>"])
    t.post_processor = processors.ByteLevel(trim_offsets=False)
    return t


def characters(rng, pre, **model):
    """Characters as SentencePiece has them: few in the vocabulary, the others by their bytes."""
    t = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, **model))
    t.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    t.pre_tokenizer = pre
    names = ["<unk>", "<s>", "</s>"] + [f"<0x{b:02X}>" for b in range(256)]
    t.train_from_iterator(corpus(rng), trainers.BpeTrainer(vocab_size=1200, special_tokens=names, limit_alphabet=110, show_progress=False))
    d = json.loads(t.to_str())
    d["added_tokens"] = d["added_tokens"][:3]  # the bytes are plain tokens
    d["pre_tokenizer"] = None
    d["decoder"] = {"type": "Sequence", "decoders": [
        {"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"},
        {"type": "Strip", "content": " ", "start": 1, "stop": 0}]}
    return d


def begin(t, name):
    t.post_processor = processors.TemplateProcessing(single=f"{name} $A", pair=f"{name} $A {name} $B", special_tokens=[(name, t.token_to_id(name))])
    return t


def llama2(rng):
    t = Tokenizer.from_str(json.dumps(characters(rng, pre_tokenizers.Metaspace(), fuse_unk=True)))
    t.add_tokens([AddedToken("<tool>", normalized=True), AddedToken("<raw>", normalized=False), AddedToken("word", single_word=True, normalized=False),
                  AddedToken("<end>", rstrip=True, normalized=False), AddedToken("<mask>", lstrip=True, normalized=True)])
    return begin(t, "<s>")


def mistral(rng):
    d = characters(rng, pre_tokenizers.Metaspace(), fuse_unk=True)
    d["normalizer"] = None
    d["pre_tokenizer"] = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": False}
    t = Tokenizer.from_str(json.dumps(d))
    t.add_special_tokens([AddedToken("<tool>"), AddedToken("<raw>", normalized=True), AddedToken("<end>", rstrip=True), AddedToken("<both>", lstrip=True, rstrip=True)])
    return begin(t, "<s>")


def gemma(rng):
    d = characters(rng, pre_tokenizers.Metaspace(), fuse_unk=True)
    d["normalizer"] = {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}
    d["pre_tokenizer"] = {"type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious", "invert": False}
    d["decoder"]["decoders"].pop()
    t = Tokenizer.from_str(json.dumps(d))
    t.add_special_tokens(["<start_of_turn>", "<end_of_turn>"])
    t.add_tokens([AddedToken(c * n, normalized=False) for c in "\n▁" for n in range(6, 1, -1)])
    return begin(t, "<s>")


def words(rng):
    d = characters(rng, pre_tokenizers.Metaspace())
    d["normalizer"] = {"type": "NFC"}
    d["pre_tokenizer"] = {"type": "Metaspace", "replacement": "▁", "add_prefix_space": True, "str_rep": "▁"}
    return begin(Tokenizer.from_str(json.dumps(d)), "<s>")


def loose(rng):
    """Merges run over spaces, and most bytes have no token: their characters are unknown."""
    d = characters(rng, pre_tokenizers.Split("\n", "isolated"))
    gone = {f"<0x{b:02X}>" for b in range(256) if b >= 0xc4 and b % 3}
    kept = [s for s, _ in sorted(d["model"]["vocab"].items(), key=lambda kv: kv[1]) if s not in gone]
    d["model"]["vocab"] = {s: i for i, s in enumerate(kept)}
    return Tokenizer.from_str(json.dumps(d))


def character(rng):
    pools = [(0x20, 0x7e), (0, 0x1f), (0x7f, 0xff), (0x100, 0x24f), (0x300, 0x36f), (0x370, 0x52f), (0x5d0, 0x6ff),
             (0x900, 0xdff), (0x1100, 0x11ff), (0x2000, 0x206f), (0x2070, 0x218f), (0x3000, 0x30ff), (0x4e00, 0x4eff),
             (0xac00, 0xacff), (0xfb00, 0xfdff), (0xfe00, 0xffef), (0x1d400, 0x1d7ff), (0x1f300, 0x1f6ff), (0xe0000, 0xe007f)]
    lo, hi = rng.choice(pools)
    return chr(rng.randint(lo, hi))


PIECES = [
    lambda r: r.choice(WORDS), lambda r: " " + r.choice(WORDS), lambda r: " " * r.randint(1, 12), lambda r: "\t" * r.randint(1, 5),
    lambda r: "\n" * r.randint(1, 4), lambda r: r.choice(["\r\n", "\r", "\r\n\r\n", " \n", "\n ", "\u00a0", "\u3000", "\u2028", "\x85", "\v", "\f"]),
    lambda r: str(r.randint(0, 10 ** r.randint(1, 9))), lambda r: r.choice(["'s", "'t", "'re", "'ve", "'m", "'ll", "'d", "'S", "'", "''", "’s", " 'll", "'LL", "'l", "'r", "'ſ", "'Re", "'vE"]),
    lambda r: r.choice(OTHER), lambda r: "".join(r.choice("!?.,;:-_()[]{}<>/\\|@#$%^&*+=~`\"") for _ in range(r.randint(1, 5))),
    lambda r: "".join(character(r) for _ in range(r.randint(1, 4))),
    lambda r: r.choice("aeoucnAEK") + "".join(chr(r.randint(0x300, 0x345)) for _ in range(r.randint(1, 4))),
    lambda r: "".join(r.choice("\u1100\u1101\u1161\u1162\u11a8\u11a9\uac00\uac01") for _ in range(r.randint(1, 5))),
    lambda r: r.choice(["<|endoftext|>", "<|bos|>", "<mask>", "<end>", "<both>", "café", "cafe\u0301", "word", "wo", "words", "word_", "-word-", "  \n", "<|endoftext", "<mask", "<s>", "</s>", "<unk>", "<tool>", " <tool> ", "<raw>", "<0x0A>", "▁", "▁▁", " ▁ x",
                        "<|begin_of_text|>", "<|eot_id|>", "<|im_start|>", "<|im_end|>", "<start_of_turn>", "<end_of_turn>\n", " <mask> ", " <end>  ", "\t<both>\n", "<end>  \n"]),
    lambda r: "".join(r.choice("aábcXYZq") for _ in range(r.randint(1, 40))), lambda r: " attentively", lambda r: r.choice(["ZZ", "Zq", "qqZ", "à"]),
]


def texts(rng, n):
    yield from ["", " ", "  ", "\n", "a", "a\n\nb", "foo\n\n\nbar", "\t\t", "\t\tx", "a  b", "hi  ", "x   = 1", "'", "'s", " 's", "''s", "\u0301",
                "a" + "\u0301" * 40, "q" + "\u0323\u0307" * 33 + "b", "é" * 40, "x" * 300, "ab" * 400,
                "\U000e0075\u0301", "e\U000e0075\u0301\u0308 u\u0301", "\U00011099\u0301\U000110ba", "\U0001d15e\U0001d165"]
    for _ in range(n - 26):
        yield "".join(rng.choice(PIECES)(rng) for _ in range(rng.randint(1, rng.choice([3, 6, 12]))))


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


def word_characters():
    t = Tokenizer(models.BPE())
    t.add_tokens([AddedToken("wo", single_word=True)])
    chars = [c for c in range(0x110000) if not 0xd800 <= c < 0xe000]
    runs = []
    for at in range(0, len(chars), 1 << 16):
        part = chars[at:at + (1 << 16)]
        for c, e in zip(part, t.encode_batch(["wo" + chr(c) for c in part])):
            if e.ids:
                continue
            if runs and runs[-1][1] == c - 1:
                runs[-1][1] = c
            else:
                runs.append([c, c])
    return runs


def nfc():
    """The combining characters and compositions that the library's NFC knows."""
    ref = normalizers.NFC().normalize_str
    marks, composed = [], []
    for c in range(0x110000):
        if 0xd800 <= c < 0xe000 or 0xac00 <= c < 0xd7a4:
            continue
        if ref("x\u0345" + chr(c)) != "x\u0345" + unicodedata.normalize("NFC", chr(c)) or c == 0x345:
            if marks and marks[-1][1] == c - 1:
                marks[-1][1] = c
            else:
                marks.append([c, c])
        if (d := unicodedata.normalize("NFD", chr(c))) != chr(c):
            composed += [[d, ref(d)], [chr(c), ref(chr(c))]]
    return {"marks": marks, "composed": composed}


def main(out):
    rng = random.Random(SEED)
    base = trained(rng)
    made = {"gpt2": gpt2(base), "neox": neox(base), "llama3": llama3(rng), "qwen2": qwen2(rng),
            "gpt4": cl100k(rng, OPENAI, "removed", True), "llama2": llama2(rng), "mistral": mistral(rng), "gemma": gemma(rng),
            "words": words(rng), "loose": loose(rng)}
    files = {name: t.to_str() for name, t in made.items()}
    made["odd"], files["odd"] = odd(base)
    for name, t in made.items():
        write(f"{out}/{name}.tokenizer.json.gz", files[name])
        write(f"{out}/{name}.cases.jsonl.gz", "\n".join(cases(t, rng, CASES[name])) + "\n")
    write(f"{out}/classes.json.gz", json.dumps(classes()))
    write(f"{out}/wordchars.json.gz", json.dumps(word_characters()))
    write(f"{out}/nfc.json.gz", json.dumps(nfc()))
    print("tokenizers", tokenizers.__version__)


if __name__ == "__main__":
    main(sys.argv[1])
