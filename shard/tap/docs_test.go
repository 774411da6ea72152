package tap

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// docs/sites.md has the names that the code has.
func TestDocsNameTheSites(t *testing.T) {
	text, err := os.ReadFile("../../docs/sites.md")
	if err != nil {
		t.Fatal(err)
	}
	m := families["llama"]
	for _, site := range Every {
		n := 7
		if site == Embed {
			n = 0
		}
		bridge := m
		bridge.Scaled = true // has a hook of its own for what modules give
		names := []string{"`" + string(site) + "`"}
		if hook := bridge.hook(site); hook != "" {
			names = append(names, fmt.Sprintf("`blocks.%d.%s`", n, hook))
		}
		if point := m.point(site); point != "" {
			names = append(names, fmt.Sprintf("`%s.%d`", point, n))
		}
		if hf := NamesOf("llama", Tap{site, n}).HuggingFace; hf != "" && site != AttnOut && site != MLPOut {
			names = append(names, "`"+hf+"`")
		}
		line := ""
		for l := range strings.Lines(string(text)) {
			if strings.HasPrefix(l, "| "+names[0]+" | ") {
				line = l // the last table's
			}
		}
		for _, name := range names {
			if !strings.Contains(line, strings.NewReplacer("."+fmt.Sprint(7), ".N").Replace(name)) {
				t.Errorf("docs/sites.md: the line of %s lacks %s: %s", site, name, line)
			}
		}
	}
}
