package chat

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"actfleet/collector/dataset"
)

// facts are the templates of much used checkpoints, and some more of what templates may do, with what transformers
// makes of five conversations; "!" is in front of what a template refuses with.
type facts struct {
	Conversations map[string][]dataset.Message
	Templates     []struct {
		Name     string            `json:"name"`
		Template string            `json:"template"`
		Special  map[string]string `json:"special"`
		Want     map[string]string `json:"want"`
	}
}

func readFacts(t testing.TB) (f facts) {
	t.Helper()
	text, err := os.ReadFile("testdata/templates.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &f); err != nil {
		t.Fatal(err)
	}
	return f
}

func TestTemplatesRenderAsTransformersDoes(t *testing.T) {
	f := readFacts(t)
	for _, c := range f.Templates {
		t.Run(c.Name, func(t *testing.T) {
			template, err := Parse(Source{c.Template, c.Special})
			if err != nil {
				t.Fatal(err)
			}
			for name, want := range c.Want {
				checkRendered(t, name, want, func() (string, error) { return template.Render(f.Conversations[name]) })
			}
		})
	}
}

func TestSeveralRenderAtOnce(t *testing.T) {
	f := readFacts(t)
	c := f.Templates[2]
	template, err := Parse(Source{c.Template, c.Special})
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 50 {
				for _, name := range []string{"question", "answered", "system"} {
					if got, err := template.Render(f.Conversations[name]); err != nil || got != c.Want[name] {
						t.Errorf("%q, %v", got, err)
					}
				}
			}
		})
	}
	all.Wait()
}

func TestConditionalsWithinBrackets(t *testing.T) {
	for text, want := range map[string]string{
		"{{ 'a' + ('b' if x else 'c') }}":                             "ab",
		"{{ ('b' if not x else 'c') }}":                               "c",
		"{{ ('b' if y else 'c' if z else 'd') + 'e' }}":               "de",
		"{{ ('b' if y) }}":                                            "",
		"{{ 'if else' + (', if (' if x else ')') }}":                  "if else, if (",
		"{{ ['p' if y else 'q', 'r'][0] }}":                           "q",
		"{{ {'k': 'v' if x else 'w'}['k'] }}":                         "v",
		"{% set ns = namespace(a=1 if y else 2) %}{{ ns.a }}":         "2",
		"{{ 'b' if x else 'c' }}":                                     "b",
		"{% for i in [1, 2, 3] if i != 2 %}{{ i }}{% endfor %}":       "13",
		"{# ( if #}{{ ('b' if (x and ('t' if x else '')) else '') }}": "b",
		"{ {{ ('gift' if x else 'else') }} }":                         "{ gift }",
	} {
		template, err := Parse(Source{text, map[string]string{"x": "1", "y": "", "z": ""}})
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got, err := template.Render(nil); err != nil || got != want {
			t.Errorf("%s: %q, %v; want %q", text, got, err, want)
		}
	}
}

func checkpoint(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestLoad(t *testing.T) {
	hello := []dataset.Message{{Role: "user", Content: "hello"}}
	for name, c := range map[string]struct {
		files      map[string]string
		want, fail string
	}{
		"none":                          {nil, "", ""},
		"no template":                   {map[string]string{"tokenizer_config.json": `{"eos_token":"</s>"}`}, "", ""},
		"text":                          {map[string]string{"tokenizer_config.json": `{"chat_template":"{{ bos_token }}{{ messages[0].content }}","bos_token":{"content":"<s>"}}`}, "<s>hello", ""},
		"named":                         {map[string]string{"tokenizer_config.json": `{"chat_template":[{"name":"rag","template":"x"},{"name":"default","template":"d"}]}`}, "d", ""},
		"file":                          {map[string]string{"tokenizer_config.json": `{"chat_template":"x","bos_token":"<b>"}`, "chat_template.jinja": "{{ bos_token }}j"}, "<b>j", ""},
		"none default":                  {map[string]string{"tokenizer_config.json": `{"chat_template":[{"name":"rag","template":"x"}]}`}, "", "none is called default"},
		"number":                        {map[string]string{"tokenizer_config.json": `{"chat_template":7}`}, "", "neither a text nor a list"},
		"not JSON":                      {map[string]string{"tokenizer_config.json": `{`}, "", "not JSON"},
		"broken":                        {map[string]string{"chat_template.jinja": "{% if %}"}, "", "chat template"},
		"reads a file":                  {map[string]string{"chat_template.jinja": "{% include '/etc/hostname' %}"}, "", "chat template"},
		"a list of things as arguments": {map[string]string{"chat_template.jinja": "{% set f = 1 %}{{ f(*messages) }}"}, "", "near \"*\""},
		"unknown thing":                 {map[string]string{"chat_template.jinja": "{% frobnicate %}"}, "", "chat template"},
	} {
		t.Run(name, func(t *testing.T) {
			source, err := Load(checkpoint(t, c.files))
			got := ""
			if err == nil && source != nil {
				var template *Template
				if template, err = Parse(*source); err == nil {
					got, err = template.Render(hello)
				}
			}
			if c.fail != "" && (err == nil || !strings.Contains(err.Error(), c.fail) || strings.Contains(err.Error(), "\n")) {
				t.Fatalf("%q, %v; want an error with %q", got, err, c.fail)
			}
			if c.fail == "" && (err != nil || got != c.want) {
				t.Fatalf("%q, %v; want %q", got, err, c.want)
			}
		})
	}
}

func TestEnd(t *testing.T) {
	id := func(token string) (int32, bool) { return 7, token == "</s>" }
	for want, files := range map[int32]map[string]string{
		7:  {"tokenizer_config.json": `{"eos_token":"</s>"}`, "config.json": `{"eos_token_id":1}`},
		1:  {"tokenizer_config.json": `{"eos_token":null}`, "config.json": `{"eos_token_id":1}`},
		2:  {"config.json": `{"eos_token_id":[2,3]}`},
		-1: {"config.json": `{"eos_token_id":null}`},
	} {
		got, err := End(checkpoint(t, files), id)
		if err != nil || want < 0 && got != nil || want >= 0 && (len(got) != 1 || got[0] != want) {
			t.Errorf("%v, %v; want %d", got, err, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, c := range readFacts(f).Templates {
		f.Add(c.Template)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(text, "range") || strings.Contains(text, "*") {
			return // may be asked for more than there is time for
		}
		template, err := Parse(Source{Text: text})
		if err == nil {
			_, err = template.Render([]dataset.Message{{Role: "user", Content: "a"}})
		}
		if err != nil && !errors.Is(err, ErrTemplate) {
			t.Fatalf("%v is not ErrTemplate", err)
		}
	})
}
