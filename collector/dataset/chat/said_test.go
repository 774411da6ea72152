package chat

import (
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"actfleet/collector/dataset"
)

// blocks are templates with generation blocks and what transformers makes of them (scripts/ref/generation_ref.py).
type blocks struct {
	Conversations map[string][]dataset.Message
	Templates     []struct {
		Name, Template string
		Want           map[string]struct {
			Text   string
			Blocks [][2]int32
		}
	}
}

func TestGenerationBlocksAreThoseOfTransformers(t *testing.T) {
	raw, err := os.ReadFile("testdata/generation.json")
	if err != nil {
		t.Fatal(err)
	}
	var b blocks
	if err := json.Unmarshal(raw, &b); err != nil {
		t.Fatal(err)
	}
	for _, c := range b.Templates {
		template, err := Parse(Source{Text: c.Template})
		if err != nil {
			t.Fatal(err)
		}
		for name, want := range c.Want {
			plain, err := template.Render(b.Conversations[name])
			text, said, err2 := template.Said(b.Conversations[name], "assistant")
			if err != nil || err2 != nil || text != want.Text || plain != text {
				t.Errorf("%s, %s: %v, %v\n got %q\nwant %q", c.Name, name, err, err2, text, want.Text)
				continue
			}
			var got [][2]int32
			for _, s := range said {
				got = append(got, [2]int32{s.Start, s.End})
			}
			if !slices.Equal(got, want.Blocks) {
				t.Errorf("%s, %s: blocks %v, want %v", c.Name, name, got, want.Blocks)
			}
		}
	}
}

// Every template of the trade either shows what each role says, whole but for white space and thoughts, or is refused.
func TestWhatARoleSaysIsFound(t *testing.T) {
	f := readFacts(t)
	found := 0
	for _, c := range f.Templates {
		if strings.HasPrefix(c.Name, "jinja: ") {
			continue // shows a part of the language, not a conversation
		}
		template, err := Parse(Source{c.Template, c.Special})
		if err != nil {
			t.Fatal(err)
		}
		for name, messages := range f.Conversations {
			if strings.HasPrefix(c.Want[name], "!") {
				continue
			}
			for _, role := range []string{"system", "user", "assistant"} {
				text, said, err := template.Said(messages, role)
				if errors.Is(err, ErrTemplate) && name == "thought" && role == "assistant" {
					continue
				}
				if err != nil || text != c.Want[name] {
					t.Errorf("%s, %s, %s: %q, %v", c.Name, name, role, text, err)
					continue
				}
				var want, got []string
				for _, m := range messages {
					if m.Role == role {
						_, answer, thinks := strings.Cut(m.Content, endOfThought)
						if !thinks || strings.Contains(text, m.Content) {
							answer = m.Content
						}
						want = append(want, strings.TrimSpace(answer))
					}
				}
				for _, s := range said {
					got = append(got, strings.TrimSpace(string([]rune(text)[s.Start:s.End])))
				}
				if found += len(got); !slices.Equal(got, want) {
					t.Errorf("%s, %s: the %s says %q, want %q", c.Name, name, role, got, want)
				}
			}
		}
	}
	if found < 150 {
		t.Errorf("only %d messages were found", found)
	}
}

func TestSaidOfTemplatesWithWhims(t *testing.T) {
	talk := []dataset.Message{{Role: "system", Content: "s"}, {Role: "user", Content: " a\n"}, {Role: "assistant", Content: "é a"}, {Role: "user", Content: ""}}
	type at = dataset.Said
	said := func(start, end, skip int32) at { return at{Extent: dataset.Extent{Start: start, End: end}, Skip: skip} }
	for text, want := range map[string][]at{
		"{% for m in messages %}[{{ m.content }}]{% endfor %}":                                                    {said(4, 7, 0)},
		"{% for m in messages %}[{{ m.content | trim }}]{% endfor %}":                                             {said(4, 5, 1)},
		"{{ messages[2].content }}{{ messages[1].content | trim }}":                                               {said(3, 4, 1)},
		"{{ messages[1].content }}{{ messages[1].content }}":                                                      {said(0, 3, 0), said(3, 6, 0)},
		"{{ messages[0].content }}{{ messages[2].content }}":                                                      {},
		"{% for m in messages %}{% if m.content %}{{ m.role }}: {{ m.content.strip() }}\n{% endif %}{% endfor %}": {said(16, 17, 1)},
		"{% for m in messages %}[{{ m.content | upper }}]{% endfor %}":                                            nil,
		"{% for m in messages %}[{{ m.content | length }}]{% endfor %}":                                           nil,
		"{% for m in messages %}[{{ m.content | replace('a', 'b') }}]{% endfor %}":                                nil,
	} {
		template, err := Parse(Source{Text: text})
		if err != nil {
			t.Fatal(err)
		}
		_, got, err := template.Said(talk, "user")
		if want == nil {
			if !errors.Is(err, ErrTemplate) || !strings.Contains(err.Error(), `message 1 ("user")`) && !strings.Contains(err.Error(), "message 0") {
				t.Errorf("%s: %v, %v", text, got, err)
			}
			continue
		}
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %v, %v; want %v", text, got, err, want)
		}
	}
}

// Whatever is said, a ChatML text holds it between its markers.
func TestSaidOfAnyWords(t *testing.T) {
	template, err := Parse(Source{Text: "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content | trim + '<|im_end|>\n' }}{% endfor %}"})
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(rt *rapid.T) {
		var talk []dataset.Message
		var want []string
		for range rapid.IntRange(1, 6).Draw(rt, "messages") {
			role := rapid.SampledFrom([]string{"user", "assistant"}).Draw(rt, "role")
			words := rapid.SampledFrom([]string{"", " ", "a", " a ", "\n\n", "qmark", "qmark000001z", "qmark0q", "<|im_end|>\n<|im_start|>user\n", "é\n", "</think>", "x</think>\n\ny "})
			content := words.Draw(rt, "first") + words.Draw(rt, "second")
			talk = append(talk, dataset.Message{Role: role, Content: content})
			if words := strings.TrimSpace(content); role == "user" && words != "" {
				want = append(want, words)
			}
		}
		text, said, err := template.Said(talk, "user")
		var got []string
		for _, s := range said {
			got = append(got, string([]rune(text)[s.Start:s.End]))
		}
		if err != nil || !slices.Equal(got, want) {
			rt.Fatalf("%q in %q, %v; want %q", got, text, err, want)
		}
	})
}
