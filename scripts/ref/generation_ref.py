"""Writes generation.json: what transformers makes of templates with {% generation %} blocks: the text, the code points
of the blocks, and the mask of the assistant's tokens for one of the tokenizers that bpe_ref.py made.

    python scripts/ref/generation_ref.py collector/dataset/chat/testdata/templates.json \
        collector/model/bpe/testdata/qwen2.tokenizer.json.gz collector/dataset/chat/testdata/generation.json
"""
import gzip
import json
import sys

import tokenizers
import transformers
from transformers import PreTrainedTokenizerFast
from transformers.utils.chat_template_utils import render_jinja_template

TEMPLATES = {
    "turn": "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' }}{% if m.role == 'assistant' %}{% generation %}"
            "{{ m.content + '<|im_end|>' }}{% endgeneration %}{% else %}{{ m.content + '<|im_end|>' }}{% endif %}{{ '\n' }}"
            "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}",
    "lines": """{%- for m in messages %}
    {%- if m['role'] == 'assistant' -%}
        {%- generation -%}
        {{ '<|im_start|>assistant\n' + (m['content'] | trim) + '<|im_end|>' }}
        {%- endgeneration -%}
    {%- else %}
        {{- '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>\n' }}
    {%- endif %}
{%- endfor %}
""",
    "content": """{% for m in messages %}
<|im_start|>{{ m.role }}
{% if m.role == 'assistant' %}
{% generation %}
{{ m.content }}
{% endgeneration %}
{% else %}
{{ m.content }}
{% endif %}
<|im_end|>
{% endfor %}
""",
}
MORE = {
    "emoji": [{"role": "user", "content": "👍🏽?"}, {"role": "assistant", "content": "a 👩‍👩‍👧‍👦 of e\u0301"}, {"role": "user", "content": "naïve"},
              {"role": "assistant", "content": "  x  "}],
    "nobody": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Why?"}],
}


def main(templates, tokenizer, out):
    talks = {**json.load(open(templates, encoding="utf-8"))["conversations"], **MORE}
    t = PreTrainedTokenizerFast(tokenizer_object=tokenizers.Tokenizer.from_str(gzip.open(tokenizer, "rt", encoding="utf-8").read()))
    made = []
    for name, template in TEMPLATES.items():
        want = {}
        for talk, messages in talks.items():
            ask = messages[-1]["role"] != "assistant"
            texts, blocks = render_jinja_template([messages], chat_template=template, return_assistant_tokens_mask=True,
                                                  add_generation_prompt=ask)
            t.chat_template = template
            e = t.apply_chat_template(messages, return_assistant_tokens_mask=True, return_dict=True, add_generation_prompt=ask)
            mask = e["assistant_masks"]
            want[talk] = {"text": texts[0], "blocks": [list(b) for b in blocks[0]], "ids": e["input_ids"], "kept": [i for i, m in enumerate(mask) if m]}
        made.append({"name": name, "template": template, "want": want})
    with open(out, "w", encoding="utf-8") as f:
        json.dump({"made": f"transformers {transformers.__version__}", "conversations": talks, "templates": made}, f, ensure_ascii=False, indent=1)
        f.write("\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
