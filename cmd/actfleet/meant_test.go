package main

import (
	"encoding/json"
	"strings"
	"testing"
)

// A mistyped command, flag or key is a usage error that says what was meant.
func TestDidYouMean(t *testing.T) {
	for _, c := range []struct {
		meant string
		args  []string
	}{
		{"did you mean collect?", []string{"colect"}},
		{"did you mean --model?", []string{"collect", "--modle", "x"}},
		{"did you mean width?", []string{"train", "sae", "--from", "x", "--sites", "fc2", "--layers", "2", "--out", t.TempDir(), "--set", "widht=3"}},
		{"did you mean lr?", []string{"train", "sae", "--from", "x", "--sites", "fc2", "--layers", "2", "--out", t.TempDir(), "--set", "learning_rate=3"}},
	} {
		wantRefusal(t, exitUsage, []string{c.meant}, c.args...)
	}
	wantRefusal(t, exitUsage, []string{`no command "xyzzy"`}, "xyzzy")
}

func TestVersion(t *testing.T) {
	var v versions
	if err := json.Unmarshal([]byte(wantOKHere(t, "version", "--json")), &v); err != nil {
		t.Fatal(err)
	}
	text := wantOKHere(t, "version")
	for name, of := range map[string]string{"the program": v.Actfleet, "Go": v.Go, "the system": v.System, "libtorch": v.Libtorch} {
		if of == "" || !strings.Contains(text, of) {
			t.Errorf("%s is %q; the text says\n%s", name, of, text)
		}
	}
}
