package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"actfleet/collector/dataset"
	"actfleet/collector/dataset/chat"
	"actfleet/collector/model/bpe"
	"actfleet/shard/tap"
)

// generationFacts are templates with generation blocks and which tokens transformers takes for the assistant's
// (scripts/ref/generation_ref.py).
type generationFacts struct {
	Conversations map[string][]dataset.Message
	Templates     []struct {
		Name, Template string
		Want           map[string]struct{ IDs, Kept []int32 }
	}
}

func readGenerationFacts(t *testing.T) (f generationFacts) {
	t.Helper()
	raw, err := os.ReadFile("../../collector/dataset/chat/testdata/generation.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &f); err != nil {
		t.Fatal(err)
	}
	return f
}

// qwenTokenizer is a tokenizer with the markers of ChatML, and the text of its file.
func qwenTokenizer(t *testing.T) (*bpe.BPE, []byte) {
	t.Helper()
	f, err := os.Open("../../collector/model/bpe/testdata/qwen2.tokenizer.json.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	b, err := bpe.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return b, text
}

// tokenizeChats takes conversations through a template and a tokenizer, and keeps what a rule keeps.
func tokenizeChats(t *testing.T, template string, text *bpe.BPE, rule string, chats [][]dataset.Message) *dataset.Input {
	t.Helper()
	parsed, err := chat.Parse(chat.Source{Text: template})
	if err != nil {
		t.Fatal(err)
	}
	keep, err := tap.ParseRule(rule)
	if err != nil {
		t.Fatal(err)
	}
	var lines strings.Builder
	for _, messages := range chats {
		line, err := json.Marshal(map[string]any{"messages": messages})
		if err != nil {
			t.Fatal(err)
		}
		lines.Write(append(line, '\n'))
	}
	set, err := dataset.Open([]string{write(t, "chats.jsonl", lines.String())}, dataset.Options{Tokens: keep, Chat: parsed.Render, Said: parsed.Said})
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if _, err := set.Tokenize(&out, text, dataset.Limits{}); err != nil {
		t.Fatal(err)
	}
	in, err := dataset.ReadInput(bytes.NewReader(out.Bytes()), int64(out.Len()))
	if err != nil {
		t.Fatal(err)
	}
	return in
}

func TestTheAssistantsTokensAreThoseOfTransformers(t *testing.T) {
	f := readGenerationFacts(t)
	text, _ := qwenTokenizer(t)
	for _, c := range f.Templates {
		var names []string
		var chats [][]dataset.Message
		for name, messages := range f.Conversations {
			names, chats = append(names, name), append(chats, messages)
		}
		in := tokenizeChats(t, c.Template, text, "assistant", chats)
		for i, name := range names {
			if want := c.Want[name]; !slices.Equal(in.IDs[i], want.IDs) || !slices.Equal(in.Kept[i], want.Kept) {
				t.Errorf("%s, %s: ids %v, kept %v; want %v, %v", c.Name, name, in.IDs[i], in.Kept[i], want.IDs, want.Kept)
			}
		}
	}
}

// pyMasks prints ids and assistant's positions of the conversations that it reads.
const pyMasks = `
import json, sys
try:
    from transformers import PreTrainedTokenizerFast
except ImportError as e:
    print(e); sys.exit(77)
t = PreTrainedTokenizerFast(tokenizer_file=sys.argv[1])
asked = json.load(open(sys.argv[2], encoding="utf-8"))
out = []
for template in asked["templates"]:
    t.chat_template = template
    for m in asked["chats"]:
        e = t.apply_chat_template(m, return_assistant_tokens_mask=True, return_dict=True, add_generation_prompt=m[-1]["role"] != "assistant")
        out.append({"ids": e["input_ids"], "kept": [i for i, k in enumerate(e["assistant_masks"]) if k]})
json.dump(out, open(sys.argv[3], "w"))
`

// TestPeersAssistantMask compares fresh random conversations with transformers' masks; it needs ACTFLEET_PYTHON, a Python
// that has it. What the assistant says ends in a whole token: where a block ends within a character that several tokens
// make up, transformers leaves out all but the first of them.
func TestPeersAssistantMask(t *testing.T) {
	python := os.Getenv(peerPython)
	if python == "" {
		t.Skip(peerPython + " is not set")
	}
	f := readGenerationFacts(t)
	text, file := qwenTokenizer(t)
	asked := struct {
		Templates []string            `json:"templates"`
		Chats     [][]dataset.Message `json:"chats"`
	}{}
	for _, c := range f.Templates {
		asked.Templates = append(asked.Templates, c.Template)
	}
	pieces := strings.Split("the capital| of|  \n|é|e\u0301|👩‍👩‍👧‍👦|你好|<|im_end|>|<think>|12345|'ll|\t| ", "|")
	for range 200 {
		var messages []dataset.Message
		for i := range 1 + rand.IntN(5) {
			words := ""
			for range rand.IntN(8) {
				words += pieces[rand.IntN(len(pieces))]
			}
			messages = append(messages, dataset.Message{Role: []string{"user", "assistant"}[i%2], Content: words + "x"})
		}
		asked.Chats = append(asked.Chats, messages)
	}
	dir := t.TempDir()
	question, err := json.Marshal(asked)
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{"tokenizer.json": file, "asked.json": question} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	said, err := exec.Command(python, "-c", pyMasks, filepath.Join(dir, "tokenizer.json"), filepath.Join(dir, "asked.json"), filepath.Join(dir, "masks.json")).CombinedOutput()
	if code := 77; err != nil && strings.Contains(err.Error(), fmt.Sprint(code)) {
		t.Skipf("%s", said)
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	answer, err := os.ReadFile(filepath.Join(dir, "masks.json"))
	if err != nil {
		t.Fatal(err)
	}
	var want []struct{ IDs, Kept []int32 }
	if err := json.Unmarshal(answer, &want); err != nil {
		t.Fatal(err)
	}
	for k, template := range asked.Templates {
		in := tokenizeChats(t, template, text, "assistant", asked.Chats)
		for i := range asked.Chats {
			if w := want[k*len(asked.Chats)+i]; !slices.Equal(in.IDs[i], w.IDs) || !slices.Equal(in.Kept[i], w.Kept) {
				t.Errorf("%q: ids %v, kept %v; want %v, %v", asked.Chats[i], in.IDs[i], in.Kept[i], w.IDs, w.Kept)
			}
		}
	}
}

// A run of the positions that the data say is one like others: planned, estimated, collected, checked and read; and a
// node that is given only the run and the model makes the same bytes.
func TestRunOfSpans(t *testing.T) {
	var lines strings.Builder
	for i := range 70 {
		text := fmt.Sprintf("Of the city of Paríś, number %d, it is said: é", i)
		at := len([]rune(text[:strings.Index(text, "Par")]))
		fmt.Fprintf(&lines, `{"text":%q,"place":[%d,%d],"start":%d}`+"\n", text, at, at+5*(1-i%2), i)
	}
	data, run := write(t, "spans.jsonl", lines.String()), filepath.Join(t.TempDir(), "run")
	args := []string{"collect", "--model", tinyModel, "--data", data, "--out", run, "--tokens", "span:place", "--offsets", "--template", "Say: {text}", "--keep-text",
		"--sites", "resid", "--layers", "1", "--unit-prompts", "35", "--threads", "1"}
	var dry struct {
		Rows int64
		Data struct {
			NoRows int64 `json:"prompts_without_rows"`
		}
	}
	if err := json.Unmarshal([]byte(wantOK(t, append(args, "--dry-run", "--json")...)), &dry); err != nil {
		t.Fatal(err)
	}
	if _, _, said := actfleet(t, args...); !strings.Contains(said, "--tokens span:place keeps no position of 35 of 70 prompts") {
		t.Errorf("it said %s", said)
	}
	var rows int64
	for _, line := range strings.Split(strings.TrimSpace(wantOK(t, "cat", run, "--columns", "row,data_start,start,end,text", "--format", "jsonl")), "\n") {
		var r struct {
			Row        int64
			DataStart  int64 `json:"data_start"`
			Start, End int
			Text       string
		}
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatal(err)
		}
		word := string([]rune(r.Text)[r.Start:r.End])
		if rows++; r.Row%2 != 0 || r.DataStart != r.Row || !strings.Contains(" Paríś", word) {
			t.Errorf("row %d stands for %q", r.Row, word)
		}
	}
	if rows == 0 || dry.Rows != rows || dry.Data.NoRows != 35 {
		t.Errorf("%d rows, estimated were %+v", rows, dry)
	}
	wantOK(t, "check", run)
	unit := filepath.Join(run, "acts", "unit-000001.parquet")
	was, err := os.ReadFile(unit)
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{unit, filepath.Join(run, "manifest.json")} {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	wantOK(t, "collect", "--model", tinyModel, "--out", run, "--threads", "1")
	if now, err := os.ReadFile(unit); err != nil || !bytes.Equal(was, now) {
		t.Errorf("the unit made from the run alone differs: %v", err)
	}
	spoilPrompts(t, run)
	wantRefusal(t, exitDamage, []string{"input/rows-"}, "check", run)
	wantRefusal(t, exitError, []string{"tokens", "span:place", "last"}, append(args[:len(args):len(args)], "--tokens", "last")...)
	wantRefusal(t, exitUsage, []string{"--tokens span:places", "no such column"}, "collect", "--model", tinyModel, "--data", data, "--out", run+"2", "--tokens", "span:places")
}

// spoilPrompts changes a byte of the prompts of a run.
func spoilPrompts(t *testing.T, run string) {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(run, "input", "*.parquet"))
	if err != nil || len(found) != 1 {
		t.Fatal(found, err)
	}
	b, err := os.ReadFile(found[0])
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)/2] ^= 0xff
	if err := os.Chmod(found[0], 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(found[0], b, 0o644); err != nil {
		t.Fatal(err)
	}
}
