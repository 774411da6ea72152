"""Reads an exported folder with the package it is meant for and compares with what Go computed.

peer.py FORMAT then ARCH DIR CHECK.npz, as plain.py, as often as wanted; exit status 77 when the package
cannot be imported.
"""
import json
import os
import sys

os.environ["SPARSIFY_DISABLE_TRITON"] = "1"  # no GPU is needed

import numpy as np

try:
    import torch
except ImportError as err:
    print(f"torch cannot be imported: {err}")
    sys.exit(77)

fmt, cases = sys.argv[1], sys.argv[2:]


def absent(err):
    print(f"{fmt}: the package cannot be imported: {err}")
    sys.exit(77)


def saelens():
    try:
        from sae_lens import SAE
    except ImportError as err:
        absent(err)
    sae = SAE.load_from_disk(folder, device="cpu")
    with open(os.path.join(folder, "cfg.json")) as file:
        written = json.load(file)["metadata"]
    kept = {k: v for k, v in sae.cfg.metadata.items() if v is not None}
    assert kept == {k: v for k, v in written.items() if v is not None}, f"metadata of {arch}: {kept}, written {written}"
    if "hook_name" in written:  # and they are what was known
        assert sae.cfg.metadata.sae_lens_version and sae.cfg.metadata.hook_name.startswith("blocks.") and sae.cfg.metadata.hf_hook_name, kept
        assert isinstance(sae.cfg.metadata.prepend_bos, bool) and sae.cfg.metadata.context_size and sae.cfg.metadata.dataset_path and sae.cfg.metadata.model_name, kept
    acts = sae.encode(x)
    recon = sae(x) if "skip" in arch else sae.decode(acts)
    return acts.to_dense() if acts.is_sparse else acts, recon


def sparsify():
    try:
        from sparsify import SparseCoder
    except ImportError as err:
        absent(err)
    sae = SparseCoder.load_from_disk(folder)
    out = sae.encode(x)
    acts = torch.zeros_like(f).scatter_(1, out.top_indices, out.top_acts)
    return acts, sae(x).sae_out


def dictionary_learning():
    try:
        from dictionary_learning import dictionary
        from dictionary_learning.trainers.batch_top_k import BatchTopKSAE
        from dictionary_learning.trainers.top_k import AutoEncoderTopK
    except ImportError as err:
        absent(err)
    classes = {"topk": AutoEncoderTopK, "multitopk": AutoEncoderTopK, "jumprelu_tanh": dictionary.JumpReluAutoEncoder, "batchtopk": BatchTopKSAE, "matryoshka": BatchTopKSAE, "relu": dictionary.AutoEncoder,
               "relu_april": dictionary.AutoEncoder, "jumprelu": dictionary.JumpReluAutoEncoder,
               "gated": dictionary.GatedAutoEncoder}
    path = os.path.join(folder, "trainer_0", "ae.pt")
    sae = classes[arch].from_pretrained(path)
    acts = sae.encode(x)
    recon = sae.decode(acts)
    if arch.startswith("relu"):  # its loader makes directions unit and moves their lengths into the encoder
        acts = acts / torch.load(path, weights_only=True)["decoder.weight"].norm(dim=0)
    return acts, recon


for arch, folder, check in zip(cases[::3], cases[1::3], cases[2::3]):
    check = np.load(check)
    x, f, xhat = (torch.from_numpy(check[k]) for k in ("x", "f", "xhat"))
    with torch.no_grad():
        got_f, got_x = globals()[fmt]()
    torch.testing.assert_close(got_f, f, atol=1e-4, rtol=1e-4, msg=lambda m: f"codes of {arch}: {m}")
    torch.testing.assert_close(got_x, xhat, atol=1e-3, rtol=1e-4, msg=lambda m: f"reconstructions of {arch}: {m}")
