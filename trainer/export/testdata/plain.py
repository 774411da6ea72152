"""Reads an exported folder with torch, safetensors and numpy alone and compares with what Go computed.

plain.py FORMAT, then ARCH DIR CHECK.npz as often as wanted, where CHECK.npz holds x [n,d], f [n,M] and
xhat [n,d].
"""
import json
import os
import sys

import numpy as np

fmt, cases = sys.argv[1], sys.argv[2:]


def topk(a, k):
    out = np.zeros_like(a)
    idx = np.argsort(-a, axis=1)[:, :k]
    np.put_along_axis(out, idx, np.maximum(np.take_along_axis(a, idx, 1), 0), 1)
    return out


def torch_arrays(path):
    try:
        import torch
    except ImportError as err:
        print(f"torch cannot be imported: {err}")
        sys.exit(77)
    loaded = torch.load(os.path.join(folder, path), weights_only=True)
    return loaded, {k: v.numpy() for k, v in loaded.items() if isinstance(v, torch.Tensor)}


def cfg(name="cfg.json"):
    with open(os.path.join(folder, name)) as file:
        return json.load(file)


def activate(a, k=None, threshold=None):
    if k is not None:
        return topk(a, int(k))
    return a * (a > (0 if threshold is None else threshold))


def skipped(w):
    return x @ w["W_skip"].T if "W_skip" in w else 0


def saelens():
    from safetensors.numpy import load_file

    c, w = cfg(), load_file(os.path.join(folder, "sae_weights.safetensors"))
    assert c["d_in"] == x.shape[1] and c["d_sae"] == f.shape[1] and c["normalize_activations"] == "none"
    wanted = {"multitopk": "topk", "batchtopk": "jumprelu", "matryoshka": "jumprelu", "jumprelu_tanh": "jumprelu", "relu": "standard", "relu_april": "standard"}
    if "transcoder" in arch:
        assert c["d_out"] == xhat.shape[1] and not c["apply_b_dec_to_input"]
    else:
        assert c["architecture"] == wanted.get(arch, arch), c
    z = x - w["b_dec"] if c["apply_b_dec_to_input"] else x
    if arch == "gated":
        u = z @ w["W_enc"]
        acts = (u + w["b_gate"] > 0) * np.maximum(np.exp(w["r_mag"]) * u + w["b_mag"], 0)
        return acts, acts @ w["W_dec"] + w["b_dec"]
    acts = activate(z @ w["W_enc"] + w["b_enc"], c.get("k"), w.get("threshold"))
    return acts, acts @ w["W_dec"] + w["b_dec"] + skipped(w)


def sparsify():
    from safetensors.numpy import load_file

    c, w = cfg(), load_file(os.path.join(folder, "sae.safetensors"))
    keys = "activation expansion_factor normalize_decoder num_latents k multi_topk skip_connection transcode d_in"
    assert set(c) == set(keys.split()) and c["transcode"] == ("transcoder" in arch)
    z = x if c["transcode"] else x - w["b_dec"]
    acts = topk(z @ w["encoder.weight"].T + w["encoder.bias"], c["k"])
    return acts, acts @ w["W_dec"] + w["b_dec"] + skipped(w)


def dictionary_learning():
    _, w = torch_arrays("trainer_0/ae.pt")
    assert cfg("config.json")["trainer"]["activation_dim"] == x.shape[1]
    if arch == "gated":
        u = (x - w["decoder_bias"]) @ w["encoder.weight"].T
        acts = (u + w["gate_bias"] > 0) * np.maximum(np.exp(w["r_mag"]) * u + w["mag_bias"], 0)
        return acts, acts @ w["decoder.weight"].T + w["decoder_bias"]
    bias = w["b_dec"] if "b_dec" in w else w["bias"]
    k = w["k"] if arch in ("topk", "multitopk") else None
    if arch.startswith("jumprelu"):
        acts = activate(x @ w["W_enc"] + w["b_enc"], None, w["threshold"])
        return acts, acts @ w["W_dec"] + bias
    acts = activate((x - bias) @ w["encoder.weight"].T + w["encoder.bias"], k, w.get("threshold") if k is None else None)
    return acts, acts @ w["decoder.weight"].T + bias


def openai():
    loaded, w = torch_arrays("autoencoder.pt")
    k = loaded["activation_state_dict"].get("k")
    assert loaded["activation"] == ("TopK" if k else "ReLU"), loaded["activation"]
    acts = activate((x - w["pre_bias"]) @ w["encoder.weight"].T + w["latent_bias"], k)
    return acts, acts @ w["decoder.weight"].T + w["pre_bias"]


def npz():
    w = np.load(os.path.join(folder, "params.npz"), allow_pickle=False)
    k = w["k"] if "k" in w else None
    if "gated" in arch:
        u = x @ w["W_enc"]
        acts = (u + w["b_gate"] > 0) * np.maximum(np.exp(w["r_mag"]) * u + w["b_mag"], 0)
        return acts, acts @ w["W_dec"] + w["b_dec"] + skipped(w)
    acts = activate(x @ w["W_enc"] + w["b_enc"], k, w["threshold"] if "threshold" in w else None)
    return acts, acts @ w["W_dec"] + w["b_dec"] + skipped(w)


for arch, folder, check in zip(cases[::3], cases[1::3], cases[2::3]):
    check = np.load(check)
    x, f, xhat = (check[k].astype(np.float64) for k in ("x", "f", "xhat"))
    got_f, got_x = globals()[fmt]()
    np.testing.assert_allclose(got_f, f, atol=1e-4, rtol=1e-4, err_msg=f"codes of {arch}")
    np.testing.assert_allclose(got_x, xhat, atol=1e-3, rtol=1e-4, err_msg=f"reconstructions of {arch}")
