package shard

import (
	"flag"
	"os"
	"path/filepath"
	"testing"
)

// What the tests of the package's outside use of its inside.

var Update = flag.Bool("update", false, "write the golden files of this version")

var WantScalars = wantScalars

// SetPageRows gives a vector column pages of so many rows, as a wide column has.
func (w *Writer) SetPageRows(col, rows int) {
	w.meta.vectors[col].PageRows = rows
	w.layouts[col] = newLayout(w.schema.Vectors[col], rows)
}

// WriteFile writes a golden file.
func WriteFile(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o666); err != nil {
		t.Fatal(err)
	}
}
