package dataset

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"
	"pgregory.net/rapid"
)

func someInput() *Input {
	return &Input{Digest: "d1", IDs: [][]int32{{1, 2, 3}, {9}}, Text: []string{"a bb ccc", ""}, Columns: []Column{
		{"label", Int64, []int64{7, 8}}, {"group", String, []string{"x", "ÿ"}}, {"score", Float64, []float64{0.5, math.NaN()}}, {"ok", Bool, []bool{true, false}}}}
}

func encode(t testing.TB, in *Input) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := WriteInput(&b, in); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func drawInput(t *rapid.T) *Input {
	n := rapid.IntRange(1, 20).Draw(t, "rows")
	in := &Input{Digest: rapid.StringMatching("[0-9a-f]{8}").Draw(t, "digest")}
	texts := rapid.SliceOfN(rapid.String(), n, n)
	in.Text = texts.Draw(t, "text")
	for range n {
		in.IDs = append(in.IDs, rapid.SliceOfN(rapid.Int32Range(0, math.MaxInt32), 1, 9).Draw(t, "ids"))
	}
	for i := range rapid.IntRange(0, 4).Draw(t, "columns") {
		c := Column{Name: fmt.Sprintf("c%d", 9-i), Type: rapid.SampledFrom([]Type{Int64, Float64, Bool, String}).Draw(t, "type")}
		switch c.Type {
		case Int64:
			c.Values = rapid.SliceOfN(rapid.Int64(), n, n).Draw(t, "ints")
		case Float64:
			c.Values = rapid.SliceOfN(rapid.Float64(), n, n).Draw(t, "floats")
		case Bool:
			c.Values = rapid.SliceOfN(rapid.Bool(), n, n).Draw(t, "bools")
		case String:
			c.Values = texts.Draw(t, "strings")
		}
		in.Columns = append(in.Columns, c)
	}
	return in
}

func TestInputRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := drawInput(t)
		var a, b bytes.Buffer
		if err := WriteInput(&a, in); err != nil {
			t.Fatal(err)
		}
		if err := WriteInput(&b, in); err != nil || !bytes.Equal(a.Bytes(), b.Bytes()) {
			t.Fatalf("written again, the bytes differ (%v)", err)
		}
		got, err := ReadInput(bytes.NewReader(a.Bytes()), int64(a.Len()))
		if err != nil {
			t.Fatal(err)
		}
		if len(in.Columns) == 0 {
			in.Columns = got.Columns
		}
		if !reflect.DeepEqual(got, in) {
			t.Fatalf("%+v came back as %+v", in, got)
		}
	})
}

// TestInputBytes holds the bytes of an input file: a plan names its SHA-256, so half-finished runs depend on it.
func TestInputBytes(t *testing.T) {
	const want = "a7efacc5b6ad3657ad16a36d296dcd33a0294a12ec7223e198acc98427c32984"
	if sum := sha256.Sum256(encode(t, someInput())); hex.EncodeToString(sum[:]) != want {
		t.Errorf("SHA-256 %x, want %s", sum, want)
	}
}

// TestFileReadsRanges reads an input by ranges that lie within row groups and across them.
func TestFileReadsRanges(t *testing.T) {
	in := &Input{Columns: []Column{{"n", Int64, []int64(nil)}}}
	for i := range 2*rowsPerGroup + 10 {
		in.IDs, in.Text = append(in.IDs, []int32{int32(i)}), append(in.Text, "t")
		in.Columns[0].add(int64(i))
	}
	b := encode(t, in)
	f, err := OpenInput(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	if f.NumRows() != len(in.IDs) || len(f.Lengths()) != len(in.IDs) || f.Head().Columns[0].Name != "n" {
		t.Fatalf("%d rows, %+v", f.NumRows(), f.Head())
	}
	for _, r := range [][2]int{{0, 5}, {rowsPerGroup - 2, rowsPerGroup + 2}, {rowsPerGroup, 2 * rowsPerGroup}, {3, 2*rowsPerGroup + 10}} {
		part, err := f.Rows(r[0], r[1])
		if err != nil || part.First != r[0] || len(part.IDs) != r[1]-r[0] || len(part.Text) != r[1]-r[0] {
			t.Fatalf("%v: %v", r, err)
		}
		for i, ids := range part.IDs {
			if ids[0] != int32(r[0]+i) || part.Columns[0].Values.([]int64)[i] != int64(r[0]+i) {
				t.Fatalf("%v: row %d is %d", r, r[0]+i, ids[0])
			}
		}
	}
}

func TestInputNaN(t *testing.T) {
	b := encode(t, someInput())
	got, err := ReadInput(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	wantColumns(t, got.Columns, someInput().Columns)
}

func TestInputOfManyRows(t *testing.T) {
	in := &Input{}
	for i := range rowsPerGroup + 10 {
		in.IDs, in.Text = append(in.IDs, []int32{int32(i), 1}), append(in.Text, "t")
	}
	b := encode(t, in)
	got, err := ReadInput(bytes.NewReader(b), int64(len(b)))
	if err != nil || got.NumRows() != rowsPerGroup+10 || got.IDs[rowsPerGroup+9][0] != rowsPerGroup+9 {
		t.Fatalf("%d rows, %v", got.NumRows(), err)
	}
}

func TestWriteInputRefuses(t *testing.T) {
	for name, change := range map[string]func(*Input){
		"no rows":     func(in *Input) { in.IDs = nil },
		"texts":       func(in *Input) { in.Text = in.Text[:1] },
		"values":      func(in *Input) { in.Columns[0].Values = []int64{1} },
		"wrong type":  func(in *Input) { in.Columns[0].Values = []float64{1, 2} },
		"other type":  func(in *Input) { in.Columns[0].Type = 9 },
		"column name": func(in *Input) { in.Columns[0].Name = "ids" },
	} {
		in := someInput()
		change(in)
		if err := WriteInput(&bytes.Buffer{}, in); !errors.Is(err, ErrFormat) && !errors.Is(err, ErrEmpty) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestReadInputRefuses(t *testing.T) {
	type row struct {
		Row  int64   `parquet:"row"`
		IDs  []int32 `parquet:"ids,list"`
		Text string  `parquet:"text"`
	}
	write := func(version string, rows ...row) []byte {
		var b bytes.Buffer
		w := parquet.NewGenericWriter[row](&b, parquet.KeyValueMetadata(formatKey, version))
		if _, err := w.Write(rows); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	var many []row
	for i := range 2000 {
		many = append(many, row{int64(i), []int32{1}, strings.Repeat("the same long text ", 100)})
	}
	var small bytes.Buffer // the text once, in a dictionary
	o := ordered{Group: parquet.Group{}}
	o.add("row", leafNode(Int64))
	o.add("ids", parquet.List(plain(parquet.Int(32))))
	o.add("text", parquet.Encoded(parquet.String(), &parquet.RLEDictionary))
	w := parquet.NewGenericWriter[row](&small, parquet.NewSchema("input", o), parquet.KeyValueMetadata(formatKey, "1"))
	if _, err := w.Write(many); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	for want, data := range map[string][]byte{
		"no Parquet file":            []byte("PAR1"),
		"footer of 4294967295 bytes": append([]byte("PAR1xxxxxxxxxxxx"), "\xff\xff\xff\xffPAR1"...),
		"version 1":                  write("2", row{0, []int32{1}, "a"}),
		"0 rows":                     write("1"),
		"it says that it is row 7":   write("1", row{7, []int32{1}, "a"}),
		"-1 is out of range":         write("1", row{0, []int32{-1}, "a"}),
		"not UTF-8":                  write("1", row{0, []int32{1}, "\xff"}),
		"more content than the file": small.Bytes(),
	} {
		_, err := ReadInput(bytes.NewReader(data), int64(len(data)))
		if !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %s", err, want)
		}
	}
}

// TestReadInputDamaged flips bytes of a good file: an input or ErrFormat comes
// out, never a panic.
func TestReadInputDamaged(t *testing.T) {
	good := encode(t, someInput())
	rng := rand.New(rand.NewPCG(1, 2))
	for range 3000 {
		bad := bytes.Clone(good)
		for range 1 + rng.IntN(3) {
			bad[rng.IntN(len(bad))] ^= byte(1 + rng.IntN(255))
		}
		if _, err := ReadInput(bytes.NewReader(bad), int64(len(bad))); err != nil && !errors.Is(err, ErrFormat) {
			t.Fatalf("%v is not ErrFormat", err)
		}
	}
	for n := range good {
		if _, err := ReadInput(bytes.NewReader(good[:n]), int64(n)); !errors.Is(err, ErrFormat) {
			t.Fatalf("cut to %d bytes: %v", n, err)
		}
	}
}
