package shard

import (
	"bytes"
	"go/parser"
	"go/token"
	"os"
	"strings"
	"testing"
)

// docsFile repeats the specification of doc.go for readers who do not read Go, between these markers.
const (
	docsFile   = "../docs/format.md"
	specBegins = "<!-- specification: written by go test ./shard -run Docs -update -->\n"
	specEnds   = "<!-- end of specification -->\n"
)

// specification cuts the section out of the package comment and turns it into Markdown: indented blocks are code in
// both.
func specification(t *testing.T) string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "doc.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	_, spec, ok := strings.Cut(file.Doc.Text(), "# Specification\n")
	spec, _, ends := strings.Cut(spec, "# Guarantees\n")
	if !ok || !ends {
		t.Fatal("doc.go has no specification")
	}
	return strings.ReplaceAll(strings.TrimSpace(spec), "\n\t", "\n    ") + "\n"
}

func TestDocs(t *testing.T) {
	data, err := os.ReadFile(docsFile)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := bytes.Cut(data, []byte(specBegins))
	_, after, ends := bytes.Cut(rest, []byte(specEnds))
	if !ok || !ends {
		t.Fatalf("%s lacks the marks of the specification", docsFile)
	}
	want := string(before) + specBegins + "\n" + specification(t) + "\n" + specEnds + string(after)
	if *Update {
		WriteFile(t, docsFile, []byte(want))
		return
	}
	if string(data) != want {
		t.Errorf("%s and doc.go disagree; run the test with -update", docsFile)
	}
}
