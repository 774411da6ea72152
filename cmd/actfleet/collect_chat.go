package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"actfleet/collector/dataset"
	"actfleet/collector/dataset/chat"
	"actfleet/collector/model"
	"actfleet/collector/model/gguf"
)

// chat finds the checkpoint's chat template, if it has one, and for packing the token that ends its documents.
func (j *job) chat(opt *dataset.Options, limits *dataset.Limits) (*chat.Template, error) {
	dir, err := model.Resolve(j.o.model)
	if err != nil {
		return nil, err
	}
	var t *chat.Template
	var end []int32
	if strings.EqualFold(filepath.Ext(dir), ".gguf") {
		t, end, err = ggufChat(dir, j.text.Token)
	} else if t, err = chat.Load(dir); err == nil {
		end, err = chat.End(dir, j.text.ID)
	}
	if err != nil {
		return nil, err
	}
	if opt.Pack {
		limits.Separator = end
	}
	if t != nil {
		opt.Chat = t.Render
	}
	return t, nil
}

// ggufChat reads the chat template and the end token of a .gguf file; token spells an id.
func ggufChat(path string, token func(id int32) string) (t *chat.Template, end []int32, err error) {
	f, err := gguf.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	special := map[string]string{}
	for _, name := range []string{"bos", "eos", "unknown", "padding"} {
		id, ok := gguf.Get[int64](f, "tokenizer.ggml."+name+"_token_id")
		if !ok || id != int64(int32(id)) {
			continue
		}
		key := map[string]string{"unknown": "unk_token", "padding": "pad_token"}[name]
		if key == "" {
			key = name + "_token"
		}
		special[key] = token(int32(id))
		if name == "eos" {
			end = []int32{int32(id)}
		}
	}
	text, ok := gguf.Get[string](f, "tokenizer.chat_template")
	if !ok || text == "" {
		return nil, end, nil
	}
	if t, err = chat.Parse(text, special); err != nil {
		err = fmt.Errorf("%s: %w", path, err)
	}
	return t, end, err
}
