"""Lets each package save models of its own with random weights, for Go to read.

peer_write.py FORMAT OUT: every folder OUT/NAME gets what the package saves, OUT/NAME.npz x [n,d], f [n,M]
and xhat; exit status 77 when the package cannot be imported.
"""
import json
import os
import sys

os.environ["SPARSIFY_DISABLE_TRITON"] = "1"  # no GPU is needed

import numpy as np

fmt, root = sys.argv[1], sys.argv[2]
D, M, K, N = 10, 24, 6, 50


def absent(err):
    print(f"{fmt}: the package cannot be imported: {err}")
    sys.exit(77)


try:
    import torch
except ImportError as err:
    absent(err)
torch.manual_seed(5)
x = 3 * torch.randn(N, D) + 1


def randomise(model, keep=()):
    with torch.no_grad():
        for name, p in model.named_parameters():
            if name in keep:
                continue
            p.copy_(torch.randn(p.shape))
            if "threshold" in name:
                p.abs_()
    return model


def check(name, f, xhat):
    f = f.to_dense() if f.is_sparse else f
    np.savez(os.path.join(root, name + ".npz"), x=x.numpy(), f=f.detach().float().numpy(), xhat=xhat.detach().float().numpy())


def saelens():
    try:
        from sae_lens.saes import gated_sae, jumprelu_sae, standard_sae, topk_sae, transcoder
    except ImportError as err:
        absent(err)
    common = dict(d_in=D, d_sae=M, dtype="float32", device="cpu")
    models = {
        "standard": standard_sae.StandardSAE(standard_sae.StandardSAEConfig(**common, apply_b_dec_to_input=True)),
        "uncentred": standard_sae.StandardSAE(standard_sae.StandardSAEConfig(**common, apply_b_dec_to_input=False)),
        "topk": topk_sae.TopKSAE(topk_sae.TopKSAEConfig(**common, k=K)),
        "topk_rescaled": topk_sae.TopKSAE(topk_sae.TopKSAEConfig(**common, k=K, rescale_acts_by_decoder_norm=True)),
        "jumprelu": jumprelu_sae.JumpReLUSAE(jumprelu_sae.JumpReLUSAEConfig(**common)),
        "gated": gated_sae.GatedSAE(gated_sae.GatedSAEConfig(**common)),
        "transcoder": transcoder.Transcoder(transcoder.TranscoderConfig(**common, d_out=D - 3, apply_b_dec_to_input=False)),
        "skip": transcoder.SkipTranscoder(transcoder.SkipTranscoderConfig(**common, d_out=D - 3, apply_b_dec_to_input=False)),
    }
    for name, sae in models.items():
        randomise(sae).save_model(os.path.join(root, name))
        f = sae.encode(x)
        check(name, f, sae(x) if name == "skip" else sae.decode(f))


def sparsify():
    try:
        from sparsify import SparseCoder, SparseCoderConfig
    except ImportError as err:
        absent(err)
    for name, cfg in {"sae": {}, "transcoder": {"transcode": True}, "skip": {"transcode": True, "skip_connection": True}}.items():
        sae = randomise(SparseCoder(D, SparseCoderConfig(num_latents=M, k=K, activation="topk", **cfg)))
        sae.save_to_disk(os.path.join(root, name))
        out = sae.encode(x)
        check(name, torch.zeros(N, M).scatter_(1, out.top_indices, out.top_acts), sae(x).sae_out)


def dictionary_learning():
    try:
        from dictionary_learning import dictionary
        from dictionary_learning.trainers import batch_top_k, matryoshka_batch_top_k, top_k
    except ImportError as err:
        absent(err)
    models = {
        "topk": top_k.AutoEncoderTopK(D, M, K),
        "batchtopk": batch_top_k.BatchTopKSAE(D, M, K),
        "matryoshka": matryoshka_batch_top_k.MatryoshkaBatchTopKSAE(D, M, K, [8, 16]),
        "relu": dictionary.AutoEncoder(D, M),
        "jumprelu": dictionary.JumpReluAutoEncoder(D, M),
        "gated": dictionary.GatedAutoEncoder(D, M),
    }
    for name, ae in models.items():
        randomise(ae)
        if name in ("batchtopk", "matryoshka"):
            ae.threshold.fill_(0.75)
        sub = os.path.join(root, name, "trainer_0")
        os.makedirs(sub)
        torch.save(ae.state_dict(), os.path.join(sub, "ae.pt"))
        with open(os.path.join(sub, "config.json"), "w") as file:
            json.dump({"trainer": {"dict_class": type(ae).__name__, "activation_dim": D, "dict_size": M, "k": K}, "buffer": {}}, file)
        f = ae.encode(x)
        check(name, f, ae.decode(f))


globals()[fmt]()
