#!/usr/bin/env python3
"""Trains the model of this folder from nothing: tokenizer.json, config.json, model.safetensors.

    pip install -r requirements.txt
    python train.py                     # about half an hour on two cores
    python train.py --evaluate          # prints the tables of README.md from the files as they lie

The text is made as it goes along from the facts and the seen phrasings of make_data.py: true and false statements
with their verdict, and questions with their answer. The verdict sometimes follows the full stop at once (" True."),
so that the model must know at the full stop whether the statement is true; that is where probes look.
"""
import argparse
import collections
import json
import math
import os
import random
import time

import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoModelForCausalLM, PhiConfig, PhiForCausalLM

import make_data

HERE = os.path.dirname(os.path.abspath(__file__))
END = "<|endoftext|>"
VOCAB = 1800
GROUPS = 16
# What follows a text, the answer for false and for true, and what comes after the answer.
ENDINGS = {
    "verdict": (" This is", (" false", " true"), "."),
    "short": ("", (" False", " True"), "."),
    "answer": ("", (" no", " yes"), ""),
}


class Sampler:
    """Draws training examples: (text before the answer, answer, text after, weight of the text before)."""

    def __init__(self, seed):
        self.rng = random.Random(seed)
        self.facts = make_data.load_facts()
        self.by_topic = {t: [f for f in self.facts if f.topic == t] for t in make_data.TOPICS}
        self.lenders = {f.id: [g.y for g in self.by_topic[f.topic] if make_data.can_lend(f, g)] for f in self.facts}
        self.phrasings = collections.defaultdict(list)
        for p in make_data.ALL_PHRASINGS:
            if p.seen:
                self.phrasings[(p.topic, p.form)].append(p)
        self.topics = list(make_data.TOPICS)
        self.weights = [len(self.by_topic[t]) for t in self.topics]

    def number_fact(self):
        rng, top = self.rng, make_data.LARGEST
        middle = 1 + rng.randrange(top - 1)
        spread = rng.choice((3, 10, top))
        low, high = max(0, middle - 1 - rng.randrange(spread)), min(top, middle + 1 + rng.randrange(spread))
        word = make_data.number_word
        return make_data.Fact("", "number", "number", None, word(middle), word(low), word(high), "")

    def draw(self, facts_only=False):
        rng = self.rng
        topic = rng.choices(self.topics, self.weights)[0]
        fact = rng.choice(self.by_topic[topic])
        if topic == "number" and rng.random() < 0.5:
            fact = self.number_fact()
        form = rng.choices(make_data.FORMS, (0.4, 0.25, 0.35))[0]
        p = rng.choice(self.phrasings[(topic, form)])
        wrong = None if topic == "number" else rng.choice(self.lenders[fact.id])
        right, false = make_data.statement(p, fact, wrong, swap=topic == "opposite" and rng.random() < 0.5)
        holds = facts_only or rng.random() < 0.5
        label = int(holds != (form == "negated"))
        ending = "answer" if form == "question" else rng.choice(("verdict", "short"))
        between, answers, after = ENDINGS[ending]
        learn = 1.0 if holds else 0.1                   # the text itself is worth learning if it joins what belongs together
        if facts_only:
            return right, "", "", learn
        return (right if holds else false) + between, answers[label], after + END, learn


def train_bpe():
    tok = Tokenizer(models.BPE())
    tok.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tok.decoder = decoders.ByteLevel()
    sampler = Sampler(1)
    corpus = ["%s%s%s" % (a, b, c.replace(END, "")) for a, b, c, _ in (sampler.draw() for _ in range(60000))]
    trainer = trainers.BpeTrainer(vocab_size=VOCAB, special_tokens=[END], initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
                                  show_progress=False)
    tok.train_from_iterator(corpus, trainer)
    for word in (" yes", " no", " true", " false", " True", " False"):
        assert len(tok.encode(word).ids) == 1, word
    return tok


def make_config(vocab):
    return PhiConfig(vocab_size=vocab, hidden_size=256, intermediate_size=1024, num_hidden_layers=4, num_attention_heads=8,
                     num_key_value_heads=4, hidden_act="gelu_new", max_position_embeddings=128, initializer_range=0.02,
                     layer_norm_eps=1e-5, use_cache=True, tie_word_embeddings=False, rope_theta=10000.0, partial_rotary_factor=0.5,
                     qk_layernorm=False, resid_pdrop=0.0, embd_pdrop=0.0, attention_dropout=0.0, bos_token_id=0, eos_token_id=0)


def write_config(config):
    """The keys in the spelling that every version of the library reads, whichever version trained the model."""
    keys = ("vocab_size hidden_size intermediate_size num_hidden_layers num_attention_heads num_key_value_heads hidden_act "
            "max_position_embeddings initializer_range layer_norm_eps use_cache tie_word_embeddings qk_layernorm resid_pdrop "
            "embd_pdrop attention_dropout bos_token_id eos_token_id").split()
    out = {"architectures": ["PhiForCausalLM"], "model_type": "phi", "torch_dtype": "float16", "rope_theta": 10000.0,
           "partial_rotary_factor": 0.5, "rope_scaling": None}
    out.update((k, getattr(config, k)) for k in keys)
    with open(os.path.join(HERE, "config.json"), "w") as f:
        f.write(json.dumps(out, indent=2, sort_keys=True) + "\n")


def save(model):
    tensors = {k: v.detach().to(torch.float16).contiguous() for k, v in model.state_dict().items() if "rotary" not in k}
    assert all(torch.isfinite(v).all() for v in tensors.values())
    path = os.path.join(HERE, "model.safetensors")
    save_file(tensors, path + ".new", metadata={"format": "pt"})
    os.replace(path + ".new", path)


def make_batches(sampler, tok, batch, groups, answer_weight, facts_only, made=0):
    """Endless batches; of `groups` batches drawn at once, the sequences are sorted by length. The first
    `facts_only` batches have no false statements and no answers."""
    while True:
        items = []
        drawn = [sampler.draw(made < facts_only) for _ in range(batch * groups)]
        made += groups
        parts = [tok.encode_batch([d[i] for d in drawn], add_special_tokens=False) for i in range(3)]
        for d, a, b, c in zip(drawn, *parts):
            ids = a.ids + b.ids + c.ids
            w = [d[3]] * len(a.ids) + [answer_weight] * len(b.ids) + [0.1] * len(c.ids)
            items.append((ids, w))
        items.sort(key=lambda it: len(it[0]))
        order = list(range(groups))
        sampler.rng.shuffle(order)
        for g in order:
            rows = items[g * batch:(g + 1) * batch]
            width = max(len(r[0]) for r in rows)
            ids = torch.zeros(batch, width, dtype=torch.long)
            w = torch.zeros(batch, width)
            for i, (a, b) in enumerate(rows):
                ids[i, :len(a)] = torch.tensor(a)
                w[i, :len(b)] = torch.tensor(b)
            yield ids, w


@torch.no_grad()
def last_logits(model, tok, texts, hidden=False, batch=256):
    """Logits after the last token of each text and, if asked, the residual stream there after every layer."""
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
    logits, states = [None] * len(texts), [None] * len(texts)
    stream = {}
    hooks = [layer.register_forward_hook(lambda m, a, out, n=n: stream.__setitem__(n, out[0] if isinstance(out, tuple) else out))
             for n, layer in enumerate(model.model.layers)] if hidden else []
    for start in range(0, len(order), batch):
        part = order[start:start + batch]
        enc = [tok.encode(texts[i], add_special_tokens=False).ids for i in part]
        ids = torch.zeros(len(part), max(map(len, enc)), dtype=torch.long)
        for i, e in enumerate(enc):
            ids[i, :len(e)] = torch.tensor(e)
        last = torch.tensor([len(e) - 1 for e in enc])
        rows = torch.arange(len(part))
        out = model.model(input_ids=ids, use_cache=False).last_hidden_state[rows, last]
        out = model.lm_head(out).float()
        for j, i in enumerate(part):
            logits[i] = out[j]
            if hidden:
                states[i] = torch.stack([stream[n][j, last[j]].float() for n in range(len(stream))])
    for h in hooks:
        h.remove()
    return torch.stack(logits), (torch.stack(states) if hidden else None)


def answers_of(model, tok, rows):
    """For each row: is the answer right (of the two), and is it the likeliest of all tokens?"""
    texts = [r["text"] + ENDINGS["answer" if r["form"] == "question" else "verdict"][0] for r in rows]
    logits, _ = last_logits(model, tok, texts)
    right, top = [], []
    for r, row in zip(rows, logits):
        no, yes = (tok.token_to_id(tok.encode(a).tokens[0]) for a in ENDINGS["answer" if r["form"] == "question" else "verdict"][1])
        right.append(int((row[yes] > row[no]).item() == bool(r["label"])))
        top.append(int(row.argmax().item() == (yes if r["label"] else no)))
    return right, top


def load_rows():
    with open(os.path.join(HERE, "statements.jsonl")) as f:
        return [json.loads(line) for line in f]


def mean(xs):
    return sum(xs) / max(1, len(xs))


def train(args):
    torch.manual_seed(args.seed)
    torch.set_num_threads(args.threads)
    tok = train_bpe()
    tok.save(os.path.join(HERE, "tokenizer.json"))
    config = make_config(tok.get_vocab_size())
    write_config(config)
    model = AutoModelForCausalLM.from_config(config, attn_implementation="eager")    # on a CPU its backward pass is the fastest
    n = sum(p.numel() for p in model.parameters())
    print("vocabulary", tok.get_vocab_size(), "parameters", n, "bytes in fp16", 2 * n, flush=True)
    decay = [p for p in model.parameters() if p.dim() > 1]
    rest = [p for p in model.parameters() if p.dim() <= 1]
    opt = torch.optim.AdamW([{"params": decay, "weight_decay": 0.1}, {"params": rest, "weight_decay": 0.0}], lr=args.lr, betas=(0.9, 0.98))
    sampler, first = Sampler(args.seed), 0
    if args.resume and os.path.exists(args.resume):
        state = torch.load(args.resume, weights_only=False)
        model.load_state_dict(state["model"])
        opt.load_state_dict(state["opt"])
        sampler.rng.setstate(state["rng"])
        first = state["step"]
    batches = make_batches(sampler, tok, args.batch, GROUPS, args.answer_weight, args.facts_only, first)
    rows = load_rows()
    held = [r for r in rows if not r["seen"]][:1200]
    saved = time.time()
    start, best, shown, average = time.time(), 0.0, time.time(), [2.0, 1.0]
    for step in range(first, args.steps):
        warm = min(1.0, (step + 1) / 150)
        lr = args.lr * warm * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * step / args.steps)))
        for g in opt.param_groups:
            g["lr"] = lr
        if args.resume and step % GROUPS == 0 and time.time() - saved > 60:
            torch.save({"model": model.state_dict(), "opt": opt.state_dict(), "rng": sampler.rng.getstate(), "step": step}, args.resume + ".new")
            os.replace(args.resume + ".new", args.resume)
            saved = time.time()
        ids, w = next(batches)
        with torch.autocast("cpu", torch.bfloat16):
            logits = model(input_ids=ids, use_cache=False).logits
        target, weight = ids[:, 1:].reshape(-1), w[:, 1:].reshape(-1)
        each = torch.nn.functional.cross_entropy(logits[:, :-1].float().reshape(-1, logits.shape[-1]), target, reduction="none")
        loss = (each * weight).sum() / weight.sum()
        opt.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        opt.step()
        for i, hit in enumerate((weight == 1.0, weight == args.answer_weight)):
            if hit.any():
                average[i] = 0.98 * average[i] + 0.02 * each[hit].mean().item()
        if time.time() - shown > 60 or step + 1 == args.steps:
            model.eval()
            right, _ = answers_of(model, tok, held)
            model.train()
            by = collections.defaultdict(list)
            for r, ok in zip(held, right):
                by[r["topic"]].append(ok)
                by[r["form"]].append(ok)
            print("%5.0f s  step %5d  text %.3f  answer %.3f  held-out phrasings %.3f  %s" % (
                time.time() - start, step + 1, *average, mean(right), " ".join("%s %.2f" % (k[:4], mean(v)) for k, v in sorted(by.items()))), flush=True)
            if mean(right) >= best:
                best = mean(right)
                save(model)
            shown = time.time()
    print("trained in %.0f s" % (time.time() - start))


def auroc(score, label):
    order = torch.argsort(score)
    ranks = torch.empty(len(score), dtype=torch.float64)
    s = score[order]
    values, counts = torch.unique_consecutive(s, return_counts=True)
    ends = torch.cumsum(counts, 0).double()
    ranks[order] = torch.repeat_interleave(ends - (counts.double() - 1) / 2, counts)
    pos = label.double()
    n1, n0 = pos.sum(), (1 - pos).sum()
    return ((ranks * pos).sum() - n1 * (n1 + 1) / 2).div(n1 * n0).item()


def fit_logistic(x, y, l2=1e-2):
    mu, sd = x.mean(0), x.std(0) + 1e-6
    z = (x - mu) / sd
    w = torch.zeros(x.shape[1], requires_grad=True)
    b = torch.zeros(1, requires_grad=True)
    opt = torch.optim.LBFGS([w, b], max_iter=500, tolerance_grad=1e-7, line_search_fn="strong_wolfe")

    def closure():
        opt.zero_grad()
        loss = torch.nn.functional.binary_cross_entropy_with_logits(z @ w + b, y) + l2 * (w @ w) / 2
        loss.backward()
        return loss
    opt.step(closure)
    w, b = w.detach(), b.detach()
    return lambda t: ((t - mu) / sd) @ w + b


def evaluate(args):
    torch.set_num_threads(args.threads)
    tok = Tokenizer.from_file(os.path.join(HERE, "tokenizer.json"))
    model = PhiForCausalLM.from_pretrained(HERE, dtype=torch.float32).eval()
    stored = load_file(os.path.join(HERE, "model.safetensors"))
    for name, p in model.state_dict().items():
        if name in stored:
            assert torch.equal(p, stored[name].float()), name
    print("parameters %d, weights file %d bytes\n" % (sum(p.numel() for p in model.parameters()), os.path.getsize(os.path.join(HERE, "model.safetensors"))))
    rows = load_rows()
    right, top = answers_of(model, tok, rows)
    print("| topic | " + " | ".join("%s, %s" % (f, s) for f in make_data.FORMS for s in ("seen", "held out")) + " | all, held out |")
    print("|---|" + "---|" * 7)
    for topic in make_data.TOPICS + ("all",):
        cells = []
        for form in make_data.FORMS + ("all",):
            for seen in (True, False):
                pick = [o for r, o in zip(rows, right) if topic in (r["topic"], "all") and form in (r["form"], "all") and r["seen"] == seen]
                cells.append("%.1f" % (100 * mean(pick)))
        print("| %s | %s |" % (topic, " | ".join(cells[:6] + cells[7:])))
    for seen in (True, False):
        print("\nanswer is the likeliest of all tokens, %s phrasings: %.1f %%" % ("seen" if seen else "held-out", 100 * mean([o for r, o in zip(rows, top) if r["seen"] == seen])))
    print("\nProbes on the residual stream at the last token, fitted on train facts, AUROC on test facts\n")
    print("| layer | rows | mass-mean | logistic | logistic, accuracy | held-out phrasings only, logistic |")
    print("|---|---|---|---|---|---|")
    _, states = last_logits(model, tok, [r["text"] for r in rows], hidden=True)
    label = torch.tensor([float(r["label"]) for r in rows])
    bag = torch.zeros(len(rows), tok.get_vocab_size())
    for i, r in enumerate(rows):
        for t in tok.encode(r["text"], add_special_tokens=False).ids:
            bag[i, t] += 1
    number = torch.tensor([r["topic"] == "number" for r in rows])
    for kind, forms in (("affirmative", ("affirmative",)), ("affirmative and negated", ("affirmative", "negated")), ("questions", ("question",))):
        fit = torch.tensor([r["split"] == "train" and r["form"] in forms for r in rows])
        test = torch.tensor([r["split"] == "test" and r["form"] in forms for r in rows])
        new = torch.tensor([not r["seen"] for r in rows]) & test
        old = torch.tensor([r["seen"] for r in rows]) & fit
        words = [auroc(fit_logistic(bag[fit & n], label[fit & n])(bag[test & n]), label[test & n]) for n in (~number, number)]
        print("| words alone | %s | | %.3f (numbers: %.3f) | | |" % (kind, *words))
        for layer in range(states.shape[1]):
            x = states[:, layer]
            direction = x[fit & (label == 1)].mean(0) - x[fit & (label == 0)].mean(0)
            probe = fit_logistic(x[fit], label[fit])
            across = fit_logistic(x[old], label[old])
            s = probe(x[test])
            print("| %d | %s | %.3f | %.3f | %.1f %% | %.3f |" % (layer, kind, auroc(x[test] @ direction, label[test]), auroc(s, label[test]),
                  100 * ((s > 0) == (label[test] == 1)).float().mean(), auroc(across(x[new]), label[new])))


def main():
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument("--evaluate", action="store_true")
    ap.add_argument("--steps", type=int, default=4200)
    ap.add_argument("--batch", type=int, default=128)
    ap.add_argument("--lr", type=float, default=1.2e-3)
    ap.add_argument("--answer-weight", type=float, default=5.0)
    ap.add_argument("--facts-only", type=int, default=768, help="steps of learning the facts before anything is asked about them")
    ap.add_argument("--resume", metavar="FILE", help="keep the state here and go on from it, with the same batches")
    ap.add_argument("--seed", type=int, default=7)
    ap.add_argument("--threads", type=int, default=2)
    args = ap.parse_args()
    evaluate(args) if args.evaluate else train(args)


if __name__ == "__main__":
    main()
