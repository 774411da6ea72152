package sandbox

import (
	"errors"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"actfleet/collector/dataset"
	"actfleet/collector/dataset/chat"
)

// role makes this test binary the child.
const role = "ACTFLEET_CHAT_TEST"

func TestMain(m *testing.M) {
	if os.Getenv(role) != "" {
		if Serve(os.Stdin, os.Stdout) != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

func again() *exec.Cmd {
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), role+"=1")
	return c
}

func renderer(t *testing.T, text string, command func() *exec.Cmd) *Renderer {
	t.Helper()
	r := New(chat.Source{Text: text, Special: map[string]string{"bos_token": "<s>"}}, command)
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

var hello = []dataset.Message{{Role: "user", Content: "hello \xff\x00"}}

func TestTheChildRendersAsTheEngineDoes(t *testing.T) {
	const text = "{{ bos_token }}{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}{% for i in range(3) %}{% if i == 2 %}{% break %}{% endif %}{{ i }}{% endfor %}"
	inside, err := chat.Parse(chat.Source{Text: text, Special: map[string]string{"bos_token": "<s>"}})
	if err != nil {
		t.Fatal(err)
	}
	want, err := inside.Render(hello)
	if err != nil || want != "<s>user: hello \xff\x00\n01" {
		t.Fatalf("%q, %v", want, err)
	}
	r := renderer(t, text, again)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 50 {
				if got, err := r.Render(hello); err != nil || got != want {
					t.Errorf("%q, %v; want %q", got, err, want)
				}
			}
		})
	}
	all.Wait()
}

func TestTheChildFindsWhatARoleSays(t *testing.T) {
	const text = "{% for m in messages %}{{ m.role }}: {{ m.content | trim }}\n{% endfor %}"
	talk := append([]dataset.Message{{Role: "system", Content: "be\n"}}, hello...)
	inside, err := chat.Parse(chat.Source{Text: text})
	if err != nil {
		t.Fatal(err)
	}
	want, said, err := inside.Said(talk, "user")
	if err != nil || len(said) != 1 {
		t.Fatalf("%v, %v", said, err)
	}
	got, found, err := renderer(t, text, again).Said(talk, "user")
	if err != nil || got != want || !slices.Equal(found, said) {
		t.Errorf("%q, %v, %v; want %q, %v", got, found, err, want, said)
	}
}

func TestRefusalsAreErrors(t *testing.T) {
	r := renderer(t, "{% if messages[0].role == 'system' %}{{ raise_exception('no system here') }}{% endif %}ok", again)
	for range 2 { // a conversation that is refused leaves the child as it is
		if got, err := r.Render([]dataset.Message{{Role: "system"}}); !errors.Is(err, chat.ErrTemplate) || !strings.Contains(err.Error(), "chat template: it says: no system here") {
			t.Errorf("%q, %v", got, err)
		}
		if got, err := r.Render(hello); err != nil || got != "ok" {
			t.Errorf("%q, %v", got, err)
		}
	}
}

// Whatever a template does to its process is an error in one line, and the same one whenever it is asked again.
func TestHostileTemplates(t *testing.T) {
	nested := func(open, inner, end string, n int) string {
		return strings.Repeat(open, n) + inner + strings.Repeat(end, n)
	}
	for name, tc := range map[string]struct {
		text string
		want []string // one of them
	}{
		"long range":       {"{% for i in range(10000000000) %}x{% endfor %}", []string{"range: more than"}},
		"nested loops":     {nested("{% for i in range(1000000) %}", "{% if 0 %}{% endif %}", "{% endfor %}", 4), []string{"does not come to an end"}},
		"repeated string":  {"{{ 'abcdefgh' * 100000000000 }}", []string{"more than 512 MB"}},
		"beyond all":       {"{{ 'abcdefgh' * 9000000000000000000 }}", []string{"chat template"}},
		"doubled string":   {"{% set x = 'abcdefgh' %}" + strings.Repeat("{% set x = x ~ x %}", 40) + "{{ x }}", []string{"more than 512 MB"}},
		"replaced string":  {"{% set x = 'a' * 1000000 %}{{ x|replace('a', x) }}", []string{"more than 512 MB", "chat template: "}},
		"wide string":      {"{{ 'a'|center(100000000000) }}", []string{"more than 512 MB", "chat template: "}},
		"long output":      {"{% for i in range(100) %}{{ 'x' * 1000000 }}{% endfor %}", []string{"a text of 100000000 bytes", "more than 512 MB"}},
		"endless macro":    {"{% macro f(x) %}{{ f(x) }}{% endmacro %}{{ f(1) }}", []string{"calls itself without end", "more than 512 MB"}},
		"brackets":         {"{{ " + nested("(", "1", ")", 100000) + " }}", []string{"within one another"}},
		"conditions":       {"{{ (" + strings.Repeat("1 if 0 else ", 30000) + "2) }}", []string{"within one another"}},
		"nots":             {"{{ " + strings.Repeat("not ", 200000) + "1 }}", []string{"nests too deeply", "chat template: "}},
		"too long a text":  {strings.Repeat("x", 1<<20+1), []string{"more than 1048576"}},
		"reads a file":     {"{% include '/etc/passwd' %}", []string{"chat template: "}},
		"no template text": {"{% if %}", []string{"chat template: "}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := renderer(t, tc.text, again)
			if r.patience = time.Minute; name == "nested loops" {
				r.patience = 100 * time.Millisecond // it has no end that could be waited for
			}
			for range 2 {
				got, err := r.Render(hello)
				if !errors.Is(err, chat.ErrTemplate) || strings.Contains(err.Error(), "\n") || len(err.Error()) > 500 {
					t.Fatalf("%.100q, %v", got, err)
				}
				one := false
				for _, want := range tc.want {
					one = one || strings.Contains(err.Error(), want)
				}
				if !one {
					t.Errorf("error %v, want one of %q", err, tc.want)
				}
			}
		})
	}
}

func TestNoChild(t *testing.T) {
	r := renderer(t, "x", func() *exec.Cmd { return exec.Command("/nowhere/actfleet") })
	if _, err := r.Render(hello); err == nil || errors.Is(err, chat.ErrTemplate) || !strings.Contains(err.Error(), "/nowhere/actfleet") {
		t.Errorf("error %v", err)
	}
	r = renderer(t, "x", func() *exec.Cmd { return exec.Command("sh", "-c", "echo broken library >&2; exit 127") })
	if _, err := r.Render(hello); err == nil || errors.Is(err, chat.ErrTemplate) || !strings.Contains(err.Error(), "broken library") {
		t.Errorf("error %v", err)
	}
	r = renderer(t, "x", again)
	if _, err := r.Render(hello); err != nil {
		t.Error(err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	if _, err := r.Render(hello); err == nil {
		t.Error("rendered after Close")
	}
}

func BenchmarkRender(b *testing.B) {
	r := New(chat.Source{Text: "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}{% endfor %}"}, again)
	defer r.Close()
	for b.Loop() {
		if _, err := r.Render(hello); err != nil {
			b.Fatal(err)
		}
	}
}
