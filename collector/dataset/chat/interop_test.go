package chat

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestPython renders every template with transformers' apply_chat_template as well; it needs ACTFLEET_PYTHON, a Python
// that has transformers.
func TestPython(t *testing.T) {
	python := os.Getenv("ACTFLEET_PYTHON")
	if python == "" {
		t.Skip("ACTFLEET_PYTHON is not set")
	}
	f := readFacts(t)
	asked, err := json.Marshal(map[string]any{"conversations": f.Conversations, "templates": f.Templates, "day": []int{day.Year(), int(day.Month()), day.Day()}})
	if err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	cmd := exec.Command(python, "testdata/peer.py")
	cmd.Stdin, cmd.Stderr = bytes.NewReader(asked), &said
	text, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 77 {
		t.Skipf("%s", text)
	}
	var theirs map[string]map[string]string
	if err == nil {
		err = json.Unmarshal(text, &theirs)
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, said.Bytes())
	}
	for _, c := range f.Templates {
		template, err := Parse(Source{c.Template, c.Special})
		if err != nil {
			t.Errorf("%s: %v", c.Name, err)
			continue
		}
		if len(theirs[c.Name]) != len(f.Conversations) {
			t.Errorf("%s: %d conversations rendered", c.Name, len(theirs[c.Name]))
		}
		for name, want := range theirs[c.Name] {
			checkRendered(t, c.Name+", "+name, want, func() (string, error) { return template.Render(f.Conversations[name]) })
		}
	}
}

// checkRendered compares with what the reference says: a text, or what it refuses with behind "!".
func checkRendered(t *testing.T, what, want string, render func() (string, error)) {
	t.Helper()
	got, err := render()
	if words, refused := strings.CutPrefix(want, "!"); refused {
		if !errors.Is(err, ErrTemplate) || !strings.Contains(err.Error(), words) {
			t.Errorf("%s: %q, %v; want it refused with %q", what, got, err, words)
		}
		return
	}
	if err != nil || got != want {
		t.Errorf("%s: %v\n got %q\nwant %q", what, err, got, want)
	}
}
