"""Writes trainer/optim/testdata/reference.json: what torch's optimizers make of fixed gradients.

python scripts/ref/optim_ref.py > trainer/optim/testdata/reference.json; needs torch and schedulefree. Numbers are
multiples of powers of two, so that the file holds them exactly; every third row of the matrix has no gradient in
every second step, which is where sparse_adam differs from adam.
"""
import json

import torch
from schedulefree import ScheduleFreeWrapper

STEPS, ROWS, COLS = 6, 6, 4
RATES = [0.5 / 2**i * 0.25 for i in range(STEPS)]


def fixed(n, seed):
    """n multiples of 1/16 between -1 and 1."""
    return [((i * 37 + seed * 101 + (i * i * 7 + seed) % 13) % 33 - 16) / 16 for i in range(n)]


start = {"matrix": fixed(ROWS * COLS, 1), "vector": fixed(5, 2)}
shape = {"matrix": [ROWS, COLS], "vector": [5]}
grads = {name: [fixed(len(v), 10 + step) for step in range(STEPS)] for name, v in start.items()}
for step in range(0, STEPS, 2):
    for row in range(0, ROWS, 3):
        grads["matrix"][step][row * COLS : (row + 1) * COLS] = [0.0] * COLS


class SignSGD(torch.optim.Optimizer):
    def __init__(self, params, lr):
        super().__init__(params, {"lr": lr})

    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                p.data.add_(p.grad.sign(), alpha=-group["lr"])


def sign(params):
    opt = ScheduleFreeWrapper(SignSGD(params, 1.0), momentum=0.95)
    opt.train()
    return opt


DECAY = {"adamw": 0.01, "sgd": 0.125, "adafactor": 0.125}
MAKE = {
    "adam": lambda p: torch.optim.Adam(p, lr=1.0),
    "adamw": lambda p: torch.optim.AdamW(p, lr=1.0, weight_decay=DECAY["adamw"]),
    "sparse_adam": lambda p: torch.optim.SparseAdam(p, lr=1.0),
    "sgd": lambda p: torch.optim.SGD(p, lr=1.0, momentum=0.9, weight_decay=DECAY["sgd"]),
    "adafactor": lambda p: torch.optim.Adafactor(p, lr=1.0, weight_decay=DECAY["adafactor"]),
    "signsgd": sign,
}


def run(name):
    params = {k: torch.nn.Parameter(torch.tensor(v, dtype=torch.float32).view(shape[k])) for k, v in start.items()}
    opt = MAKE[name](list(params.values()))
    for step, rate in enumerate(RATES):
        for group in opt.param_groups:
            group["lr"] = rate
        for k, p in params.items():
            g = torch.tensor(grads[k][step], dtype=torch.float32).view(shape[k])
            p.grad = g.to_sparse(1) if name == "sparse_adam" else g
        opt.step()
    if name == "signsgd":
        opt.eval()
    values = {k: [float(f"{x:.9g}") for x in p.detach().flatten().tolist()] for k, p in params.items()}
    return {"decay": DECAY.get(name, 0), "values": values}


out = {"rates": RATES, "start": start, "shape": shape, "grads": grads, "ends": {name: run(name) for name in MAKE}}
print(json.dumps(out))
