#!/usr/bin/env python3
"""Renders conversations with transformers' apply_chat_template.

Standard input: {"conversations": {name: messages}, "templates": [{"name", "template", "special"}], "day": [y, m, d]}; the same as
templates.json. Standard output: {template: {conversation: text}}, "!" in front of what was refused. strftime_now tells day.
"""
import json
import sys

try:
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast
    from transformers.utils import chat_template_utils
except ImportError as e:
    print("missing:", e.name)
    sys.exit(77)


def render(tokenizer, messages):
    asks = bool(messages) and messages[-1]["role"] != "assistant"
    try:
        return tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=asks)
    except Exception as e:  # whatever Jinja raises
        return f"!{e}"


asked = json.load(sys.stdin)
day = chat_template_utils.datetime(*asked["day"])
chat_template_utils.datetime = type("Clock", (), {"now": staticmethod(lambda: day)})
out = {}
for t in asked["templates"]:
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.WordLevel({})), **t["special"])
    tokenizer.chat_template = t["template"]
    out[t["name"]] = {name: render(tokenizer, m) for name, m in asked["conversations"].items()}
json.dump(out, sys.stdout)
