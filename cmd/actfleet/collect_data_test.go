package main

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"actfleet/collector/dataset"
	"actfleet/collector/dataset/chat"
)

// vector is one row of a run as cat prints it.
type vector struct {
	Row, Pos, Doc, Window int64
	N                     int64
	Values                []float32 `json:"resid_3"`
}

func vectors(t *testing.T, run, columns string) (out []vector) {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(wantOKHere(t, "cat", run, "--columns", columns, "--format", "jsonl")), "\n")
	for _, line := range lines {
		var v vector
		if err := json.Unmarshal([]byte(line), &v); err != nil {
			t.Fatal(err)
		}
		out = append(out, v)
	}
	return out
}

// Packed documents give what each gives alone, but for the rounding of products of another shape: none sees another, and
// positions begin anew.
func TestPackedDocumentsAreAloneInTheirWindow(t *testing.T) {
	var alone, all strings.Builder
	for i := range 12 {
		line := fmt.Sprintf("{\"text\": \"Number %d is %s odd.\", \"n\": %d}\n", i, strings.Repeat("not ", i%5), i)
		all.WriteString(line)
		alone.WriteString(line)
	}
	dir := t.TempDir()
	run := func(name string, more ...string) string {
		out := filepath.Join(dir, name)
		wantOKHere(t, append([]string{"collect", "--model", tinyModel, "--out", out, "--tokens", "all", "--sites", "resid", "--layers", "3", "--dtype", "f32"}, more...)...)
		wantOKHere(t, "check", out)
		return out
	}
	packed := run("packed", "--data", write(t, "all.jsonl", all.String()), "--pack", "--context", "48")
	single := run("single", "--data", write(t, "alone.jsonl", alone.String()))
	want := map[[2]int64][]float32{}
	for _, v := range vectors(t, single, "row,pos,n,resid_3") {
		want[[2]int64{v.N, v.Pos}] = v.Values
	}
	windows, found := map[int64]int{}, 0
	for _, v := range vectors(t, packed, "row,pos,doc,window,n,resid_3") {
		windows[v.Window]++
		if v.Doc != v.N {
			t.Fatalf("document %d is said to be %d", v.N, v.Doc)
		}
		if w, ok := want[[2]int64{v.N, v.Pos}]; ok { // the separator is not in the other run
			found++
			for i := range w {
				if d := v.Values[i] - w[i]; d > 2e-5 || d < -2e-5 {
					t.Fatalf("document %d, position %d, channel %d: %v, alone %v", v.N, v.Pos, i, v.Values[i], w[i])
				}
			}
		}
	}
	if found != len(want) || len(windows) < 2 || len(windows) > 6 {
		t.Errorf("%d of %d vectors, %d windows", found, len(want), len(windows))
	}
	for w, n := range windows {
		if n > 48 {
			t.Errorf("window %d has %d tokens", w, n)
		}
	}
}

// What became of the documents is in the plan where it is not the usual, and only there.
func TestThePlanSaysHowDocumentsBecamePrompts(t *testing.T) {
	data := write(t, "d.jsonl", "{\"text\":\"One.\",\"tags\":[1]}\n{\"text\":\"\"}\n{\"text\":"+fmt.Sprintf("%q", strings.Repeat("one two ", 100))+"}\n")
	dir := t.TempDir()
	plan := func(name string, more ...string) (p struct {
		Data struct {
			Rows   int
			Corpus *struct {
				Long           string
				Documents      int
				Empty, Context int
				TooLong        int `json:"too_long"`
			}
		}
	}) {
		out := filepath.Join(dir, name)
		code, _, stderr := actfleet(t, append([]string{"collect", "--model", tinyModel, "--out", out, "--sites", "resid", "--layers", "0"}, more...)...)
		if code != 0 {
			t.Fatalf("exit %d\n%s", code, stderr)
		}
		if name == "cut" && (!strings.Contains(stderr, "tags (a list)") || !strings.Contains(stderr, "1 of 3 documents are empty") || !strings.Contains(stderr, "were cut")) {
			t.Errorf("it does not say what was left out:\n%s", stderr)
		}
		text, err := os.ReadFile(filepath.Join(out, "plan.json"))
		if err != nil {
			t.Fatal(err)
		}
		decode(t, string(text), &p)
		return p
	}
	if p := plan("plain", "--data", write(t, "plain.jsonl", "{\"text\":\"One.\"}\n")); p.Data.Corpus != nil {
		t.Errorf("a usual run says %+v", p.Data.Corpus)
	}
	cut := plan("cut", "--data", data, "--long", "cut").Data
	if c := cut.Corpus; cut.Rows != 2 || c == nil || c.Long != "cut" || c.Documents != 3 || c.Empty != 1 || c.TooLong != 1 {
		t.Errorf("%+v", cut)
	}
	windows := plan("windows", "--data", data, "--context", "32").Data
	if c := windows.Corpus; windows.Rows < 7 || c == nil || c.Context != 32 || c.Long != "window" {
		t.Errorf("%+v", windows)
	}
}

// A conversation goes through the checkpoint's template, and a dry run counts documents.
func TestConversationsAreCollected(t *testing.T) {
	model := t.TempDir()
	if err := os.CopyFS(model, os.DirFS(tinyModel)); err != nil {
		t.Fatal(err)
	}
	config := `{"chat_template": "{% for m in messages %}{{ m.role + ': ' + m.content + '\\n' }}{% endfor %}{% if add_generation_prompt %}assistant:{% endif %}"}`
	if err := os.WriteFile(filepath.Join(model, "tokenizer_config.json"), []byte(config), 0o666); err != nil {
		t.Fatal(err)
	}
	data := write(t, "chat.jsonl", `{"messages":[{"role":"user","content":"Is 5 odd?"}],"label":1}`+"\n"+`{"messages":[{"role":"user","content":"Is 5 odd?"},{"role":"assistant","content":"Yes."}],"label":0}`+"\n")
	out := filepath.Join(t.TempDir(), "run")
	wantOKHere(t, "collect", "--model", model, "--data", data, "--out", out, "--sites", "resid", "--layers", "0", "--keep-text")
	csv := wantOKHere(t, "cat", out, "--columns", "row,text", "--format", "jsonl")
	for _, want := range []string{`"user: Is 5 odd?\nassistant:"`, `"user: Is 5 odd?\nassistant: Yes.\n"`} {
		if !strings.Contains(csv, want) {
			t.Errorf("%s has no %s", csv, want)
		}
	}
	var said struct {
		Data struct{ Documents, Prompts int }
	}
	decode(t, wantOKHere(t, "collect", "--model", model, "--data", data, "--out", out+"2", "--sites", "resid", "--layers", "0", "--dry-run", "--json"), &said)
	if said.Data.Documents != 2 || said.Data.Prompts != 2 {
		t.Errorf("%+v", said)
	}
}

// A checkpoint's template that is out for the machine costs a line.
func TestHostileChatTemplate(t *testing.T) {
	model := t.TempDir()
	if err := os.CopyFS(model, os.DirFS(tinyModel)); err != nil {
		t.Fatal(err)
	}
	hostile := "{% set x = 'abcdefgh' %}" + strings.Repeat("{% set x = x ~ x %}", 40) + "{{ x }}"
	if err := os.WriteFile(filepath.Join(model, "chat_template.jinja"), []byte(hostile), 0o666); err != nil {
		t.Fatal(err)
	}
	chat := write(t, "chat.jsonl", `{"messages":[{"role":"user","content":"Is 5 odd?"}]}`+"\n")
	args := []string{"collect", "--model", model, "--out", filepath.Join(t.TempDir(), "run"), "--sites", "resid", "--layers", "0", "--data"}
	code, _, stderr := actfleet(t, append(args, chat)...)
	last := stderr[strings.LastIndex(strings.TrimSpace(stderr), "\n")+1:]
	if code != exitError || !strings.Contains(last, "chat.jsonl") || !strings.Contains(last, "chat template: it needs more than 512 MB") {
		t.Errorf("exit %d\n%s", code, stderr)
	}
	wantOK(t, append(args, write(t, "plain.jsonl", "{\"text\":\"One.\"}\n"))...) // nobody asks for the template
}

// A .gguf file brings its template and its end token along.
func TestChatOfAGGUFFile(t *testing.T) {
	text := func(s string) []byte { return append(binary.LittleEndian.AppendUint64(nil, uint64(len(s))), s...) }
	file := binary.LittleEndian.AppendUint32([]byte("GGUF"), 3)
	file = binary.LittleEndian.AppendUint64(file, 0) // tensors
	file = binary.LittleEndian.AppendUint64(file, 2) // keys
	file = append(file, text("tokenizer.chat_template")...)
	file = binary.LittleEndian.AppendUint32(file, 8) // a string
	file = append(file, text("{{ messages[0].content }}{{ eos_token }}")...)
	file = append(file, text("tokenizer.ggml.eos_token_id")...)
	file = binary.LittleEndian.AppendUint32(file, 4) // a uint32
	file = binary.LittleEndian.AppendUint32(file, 7)
	file = append(file, make([]byte, 64)...)
	source, end, err := ggufChat(write(t, "m.gguf", string(file)), func(id int32) string { return fmt.Sprintf("<%d>", id) })
	if err != nil || len(end) != 1 || end[0] != 7 {
		t.Fatalf("%v, %v", end, err)
	}
	template, err := chat.Parse(*source)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := template.Render([]dataset.Message{{Role: "user", Content: "hi"}}); err != nil || got != "hi<7>" {
		t.Errorf("%q, %v", got, err)
	}
}
