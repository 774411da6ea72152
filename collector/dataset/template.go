package dataset

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// slot is where a template takes the row's text.
const slot = "{text}"

// templates are the prompt formats that checkpoints were tuned on, by name.
var templates = map[string]string{
	// Nothing around the text.
	"none": slot,
	// The model card of microsoft/phi-2, "QA Format".
	"phi-qa": "Instruct: {text}\nOutput:",
	// https://github.com/tatsu-lab/stanford_alpaca, the prompt without an input.
	"alpaca": "Below is an instruction that describes a task. Write a response that appropriately completes the request.\n\n### Instruction:\n{text}\n\n### Response:",
	// OpenAI's Chat Markup Language; its markers must be tokens of the model.
	"chatml": "<|im_start|>user\n{text}<|im_end|>\n<|im_start|>assistant\n",
	// One user turn each, up to where the model's answer begins, as the chat template in the checkpoint's
	// tokenizer_config.json writes it without a system message. The markers must be tokens of the model; the
	// beginning token is not written here where the tokenizer adds it itself.
	"llama-2": "[INST] {text} [/INST]",
	"llama-3": "<|start_header_id|>user<|end_header_id|>\n\n{text}<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n",
	"phi":     "<|user|>\n{text}<|end|>\n<|assistant|>\n", // Phi-3; Phi-2 has phi-qa
	"gemma":   "<start_of_turn>user\n{text}<end_of_turn>\n<start_of_turn>model\n",
	"zephyr":  "<|user|>\n{text}</s>\n<|assistant|>\n", // also TinyLlama's chat model
	// https://github.com/lm-sys/FastChat, vicuna_v1.1 without a system prompt.
	"vicuna": "USER: {text} ASSISTANT:",
}

// Templates lists the names of the templates.
func Templates() []string { return slices.Sorted(maps.Keys(templates)) }

// ChatTemplate is the name of the template that is the checkpoint's own: a text is one user's turn in it.
const ChatTemplate = "chat"

// parseTemplate finds a template by name, "" being none. A string with {text} in
// it is a template of its own.
func parseTemplate(name string) (string, error) {
	if name == "" || name == ChatTemplate {
		return slot, nil
	}
	if t, ok := templates[name]; ok {
		return t, nil
	}
	if strings.Count(name, slot) == 1 {
		return name, nil
	}
	return "", fmt.Errorf("%w: template %q: want %s (the checkpoint's own), one of %s, or a text with %s in it once",
		ErrOption, name, ChatTemplate, strings.Join(Templates(), ", "), slot)
}
