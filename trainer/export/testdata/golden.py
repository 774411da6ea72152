"""Lets each package load small folders that Go wrote and compares its reconstructions with golden.json.

golden.py JOB.json GOLDEN.json [--write]: with --write golden.json is made.
"""
import json
import os
import sys
import tempfile
import warnings

os.environ["SPARSIFY_DISABLE_TRITON"] = "1"  # no GPU is needed
warnings.filterwarnings("ignore")

try:
    import torch
except ImportError as missing:
    print(missing)
    sys.exit(77)  # not there

SMALL = {"d_in": 4, "d_sae": 6, "dtype": "float32"}


def saelens(case):
    from sae_lens import SAE

    return SAE.load_from_disk(case["root"], device="cpu")


def saelens_training(case):
    """A training, saved by the package for use."""
    from sae_lens import SAE, TrainingSAE

    with tempfile.TemporaryDirectory() as out:
        TrainingSAE.load_from_disk(case["root"], device="cpu").save_inference_model(out)
        return SAE.load_from_disk(out, device="cpu")


# repository and folder under which the package knows a release, and what to set besides
RELEASES = {
    "gemma_2": ("google/gemma-scope-2b-pt-res", None, SMALL),
    "gemma_2_transcoder": ("google/gemma-scope-2b-pt-transcoders", None, {**SMALL, "d_out": 4}),
    "gemma_3": ("google/gemma-scope-2-270m-pt", None, {"dtype": "float32"}),
    "llama_scope": ("fnlp/Llama3_1-8B-Base-LXR-8x", None, {"dtype": "float32"}),
    "llama_scope_r1_distill": ("fnlp/Llama-Scope-R1-Distill", None, {"dtype": "float32", "d_sae": 6}),
    "qwen_scope": ("Qwen/SAE-Res-Qwen3-1.7B-Base-W32K-L0_2", None, {**SMALL}),
    "goodfire": ("Goodfire/Llama-3.1-8B-Instruct-SAE-l19", None, SMALL),
    "deepseek_r1": ("qresearch/DeepSeek-R1-Distill-Llama-8B-SAE-l19", None, SMALL),
    "mwhanna_transcoder": ("mwhanna/qwen3-0.6b-transcoders-lowl0", None, {}),
}


def release(case):
    """A release through the package's own conversion, its downloads taken from the folder."""
    import math

    from safetensors import safe_open
    from sae_lens import SAE
    from sae_lens.loading import pretrained_sae_loaders as loaders

    repo, _, overrides = RELEASES[case["peer"]]
    at = os.path.basename(case["at"]) if case["peer"] == "qwen_scope" else case["at"]
    base = os.path.dirname(os.path.join(case["root"], case["at"])) if case["peer"] == "qwen_scope" else case["root"]

    def local(repo_id=None, filename=None, subfolder=None, **_):
        path = os.path.join(base, subfolder or "", filename)
        if filename.endswith(".yaml"):
            path = os.path.join(base, filename)
            with open(path, "w") as file:
                json.dump({"d_model": {"value": 4}, "d_feature": {"value": 6}, "batch_size": {"value": 8}, "model_name": "Qwen/Qwen3-0.6B"}, file)
        return path

    def shapes(_, filename):
        with safe_open(os.path.join(base, filename), framework="pt") as f:
            return {k: list(f.get_slice(k).get_shape()) for k in f.keys()}

    loaders.hf_hub_download, loaders.get_safetensors_tensor_shapes = local, shapes
    cfg, state, _ = loaders.NAMED_PRETRAINED_SAE_LOADERS[case["peer"]](repo, at, "cpu", False, overrides)
    cfg = loaders.handle_config_defaulting(cfg)
    config = SAE.get_sae_config_class_for_architecture(cfg["architecture"]).from_dict(cfg)
    sae = SAE.get_sae_class_for_architecture(config.architecture())(config)
    sae.load_state_dict({k: v.float() for k, v in state.items()}, assign=True)
    if case["peer"] == "llama_scope":  # the factor that the package has in its list of releases
        sae.fold_activation_norm_scaling_factor(math.sqrt(4) / 4)
    return sae


def reconstruct(case, x):
    peer = case["peer"]
    if peer == "sparsify":
        from sparsify import SparseCoder

        return SparseCoder.load_from_disk(case["root"])(x).sae_out
    if peer == "dictionary_learning":
        from dictionary_learning.dictionary import AutoEncoderNew

        return AutoEncoderNew.from_pretrained(os.path.join(case["root"], "ae.pt"))(x)
    return globals().get(peer, release)(case)(x)


with open(sys.argv[1]) as file:
    cases = json.load(file)
got = {}
with torch.no_grad():
    for case in cases:
        x = torch.tensor(case["x"], dtype=torch.float32).reshape(-1, case["d"])
        got[case["name"]] = [float(v) for v in reconstruct(case, x).flatten()]
if "--write" in sys.argv:
    with open(sys.argv[2], "w") as file:
        file.write("{\n" + ",\n".join(f"{json.dumps(k)}: {json.dumps([round(v, 6) for v in got[k]])}" for k in sorted(got)) + "\n}\n")
with open(sys.argv[2]) as file:
    want = json.load(file)
assert sorted(got) == sorted(want), "the cases are not those of golden.json"
for name, values in got.items():
    torch.testing.assert_close(torch.tensor(values), torch.tensor(want[name]), atol=2e-5, rtol=2e-5, msg=lambda m: f"{name}: {m}")
