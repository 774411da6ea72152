package arrow_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/ipc"

	"actfleet/shard"
	sharrow "actfleet/shard/arrow"
	"actfleet/shard/store/local"
)

const rows = 600

func schema(d shard.Dtype) shard.Schema {
	return shard.Schema{
		Scalars: append(shard.BaseScalars(), shard.Scalar{Name: "label", Type: shard.Bool}, shard.Scalar{Name: "score", Type: shard.Float64}),
		Vectors: []shard.Vector{{Name: "resid_0", Width: 5, Dtype: d}, {Name: "fc1_0", Width: 1200, Dtype: shard.F16}},
	}
}

// value is what row r holds at j in every vector column: exact in float16.
func value(r, j int) float32 { return float32((r*7+j)%512) / 4 }

func block(s shard.Schema, first, n int) *shard.Block {
	b := shard.NewBlock(s)
	b.Rows = n
	for i := range n {
		r := first + i
		b.Scalars[0].([]int64)[i] = int64(r)
		b.Scalars[1].([]int32)[i] = int32(r % 9)
		b.Scalars[4].([]string)[i] = fmt.Sprint("tök", r)
		b.Scalars[5].([]bool)[i] = r%3 == 0
		b.Scalars[6].([]float64)[i] = float64(r) / 3
		for c, v := range s.Vectors {
			src := make([]float32, v.Width)
			for j := range src {
				src[j] = value(r, j)
			}
			pack := map[shard.Dtype]func([]byte, []float32) shard.VectorStats{shard.F16: shard.PackF16, shard.F32: shard.PackF32, shard.I32: shard.PackI32}[v.Dtype]
			b.Stats[c].Merge(pack(b.Vectors[c][i*v.RowBytes():], src))
		}
	}
	return b
}

func reader(t *testing.T, d shard.Dtype) *shard.Reader {
	t.Helper()
	var file bytes.Buffer
	w, err := shard.NewWriter(&file, schema(d), shard.Identity{PlanID: "the plan"})
	if err != nil {
		t.Fatal(err)
	}
	for first := 0; first < rows; first += shard.RowGroupRows {
		if err := w.WriteBlock(block(schema(d), first, min(shard.RowGroupRows, rows-first))); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Close(); err != nil {
		t.Fatal(err)
	}
	r, err := shard.NewReader(bytes.NewReader(file.Bytes()), int64(file.Len()))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// floats reads a vector column of a record as float32.
func floats(t *testing.T, a arrow.Array) []float32 {
	t.Helper()
	list := a.(*array.FixedSizeList)
	switch e := list.ListValues().(type) {
	case *array.Float32:
		return e.Float32Values()
	case *array.Float16:
		out := make([]float32, e.Len())
		for i := range out {
			out[i] = e.Value(i).Float32()
		}
		return out
	default:
		t.Fatalf("elements are %T", e)
		return nil
	}
}

func wantRecord(t *testing.T, rec arrow.Record, first int) {
	t.Helper()
	for i := range int(rec.NumRows()) {
		r := first + i
		if rec.Column(0).(*array.Int64).Value(i) != int64(r) || rec.Column(1).(*array.Int32).Value(i) != int32(r%9) ||
			rec.Column(4).(*array.String).Value(i) != fmt.Sprint("tök", r) || rec.Column(5).(*array.Boolean).Value(i) != (r%3 == 0) ||
			rec.Column(6).(*array.Float64).Value(i) != float64(r)/3 {
			t.Fatalf("scalars of row %d differ", r)
		}
	}
	for c, width := range map[int]int{7: 5, 8: 1200} {
		for k, x := range floats(t, rec.Column(c)) {
			if want := value(first+k/width, k%width); x != want {
				t.Fatalf("column %d, row %d: %g, want %g", c, first+k/width, x, want)
			}
		}
	}
}

// wantStream reads the stream back: the same rows once per shard.
func wantStream(t *testing.T, stream []byte, shards int) {
	t.Helper()
	r, err := ipc.NewReader(bytes.NewReader(stream))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Release()
	if plan, _ := r.Schema().Metadata().GetValue("actfleet.plan"); plan != "the plan" {
		t.Errorf("plan %q", plan)
	}
	total := 0
	for r.Next() {
		wantRecord(t, r.Record(), total%rows)
		total += int(r.Record().NumRows())
	}
	if r.Err() != nil || total != shards*rows {
		t.Errorf("%d rows, want %d, %v", total, shards*rows, r.Err())
	}
}

func TestStream(t *testing.T) {
	var out bytes.Buffer
	if err := sharrow.Stream(t.Context(), &out, []*shard.Reader{reader(t, shard.F16), reader(t, shard.F16)}); err != nil {
		t.Fatal(err)
	}
	wantStream(t, out.Bytes(), 2)
}

// A column that is F16 in one shard and F32 in the other is float32 in the stream.
func TestStreamWidens(t *testing.T) {
	var out bytes.Buffer
	if err := sharrow.Stream(t.Context(), &out, []*shard.Reader{reader(t, shard.F16), reader(t, shard.F32), reader(t, shard.F16)}); err != nil {
		t.Fatal(err)
	}
	wantStream(t, out.Bytes(), 3)
}

func TestColumns(t *testing.T) {
	var out bytes.Buffer
	r := reader(t, shard.F16)
	if err := sharrow.Stream(t.Context(), &out, []*shard.Reader{r}, "fc1_0", "row"); err != nil {
		t.Fatal(err)
	}
	got, err := ipc.NewReader(&out)
	if err != nil {
		t.Fatal(err)
	}
	defer got.Release()
	if s := got.Schema(); s.NumFields() != 2 || s.Field(0).Name != "fc1_0" || s.Field(1).Name != "row" || s.Field(0).Nullable {
		t.Errorf("schema %v", s)
	}
	err = sharrow.Stream(t.Context(), &out, []*shard.Reader{r}, "fc9_0")
	if err == nil || !strings.Contains(err.Error(), `no column "fc9_0"; there are row pos`) {
		t.Errorf("unknown column: %v", err)
	}
}

// failing is a pipe whose reader went away.
type failing struct{ left int }

var errGone = errors.New("reader is gone")

func (f *failing) Write(b []byte) (int, error) {
	if f.left -= len(b); f.left < 0 {
		return 0, errGone
	}
	return len(b), nil
}

func TestStreamErrors(t *testing.T) {
	readers := []*shard.Reader{reader(t, shard.F16)}
	for _, left := range []int{0, 300, 100_000} {
		if err := sharrow.Stream(t.Context(), &failing{left}, readers); !errors.Is(err, errGone) {
			t.Errorf("after %d bytes: %v", left, err)
		}
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if err := sharrow.Stream(ctx, &bytes.Buffer{}, readers); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if err := sharrow.Stream(t.Context(), &bytes.Buffer{}, nil); err == nil {
		t.Error("no shards, no error")
	}
}

// goldenStream is the stream of the run that package shard keeps.
func goldenStream(t *testing.T) []byte {
	t.Helper()
	st, err := local.New("../testdata/v1")
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := sharrow.Run(t.Context(), &out, st); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestRun(t *testing.T) {
	r, err := ipc.NewReader(bytes.NewReader(goldenStream(t)))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Release()
	var n int64
	for r.Next() {
		n += r.Record().NumRows()
	}
	if n != 750 || r.Err() != nil {
		t.Errorf("%d rows, %v", n, r.Err())
	}
	empty, err := local.New(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := sharrow.Run(t.Context(), &bytes.Buffer{}, empty); err == nil {
		t.Error("an empty directory is a run")
	}
}

// pythonEnv names a Python with pyarrow and numpy, see the interop test of package shard.
const pythonEnv = "ACTFLEET_PYTHON"

func TestPyarrowReads(t *testing.T) {
	python := os.Getenv(pythonEnv)
	if python == "" {
		t.Skipf("%s does not name a Python with pyarrow and numpy", pythonEnv)
	}
	path := filepath.Join(t.TempDir(), "rows.arrows")
	if err := os.WriteFile(path, goldenStream(t), 0o666); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(python, "testdata/interop.py", path, "../testdata/v1/acts").CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
