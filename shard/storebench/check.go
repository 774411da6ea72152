package storebench

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"golang.org/x/sync/errgroup"

	"actfleet/shard"
	"actfleet/shard/run"
	"actfleet/shard/store"
	"actfleet/shard/store/local"
)

// The run that is checked: units of two row groups, so many that every core has several.
const (
	checkUnits  = 16
	unitRows    = 2 * shard.RowGroupRows
	checkWidth  = 768
	checkTokens = 1
)

// checking measures shard.Check of a run in the page cache, beside read(2) of the same files by as many readers as
// there are cores, each of which does something with the bytes: touches them, or the least that a check must do.
func checking(use func([]byte)) func(context.Context, string) (*pair, error) {
	return func(ctx context.Context, dir string) (*pair, error) { return checkPair(ctx, dir, use) }
}

func touchAll(b []byte) { runtime.KeepAlive(touch(b)) }

func hashAll(b []byte) { runtime.KeepAlive(sha256.Sum256(b)) }

func checkPair(ctx context.Context, dir string, use func([]byte)) (*pair, error) {
	dir, err := os.MkdirTemp(dir, "check-")
	if err != nil {
		return nil, err
	}
	st, err := local.New(dir)
	if err != nil {
		return nil, err
	}
	if err := makeRun(ctx, st); err != nil {
		return nil, err
	}
	files, err := filepath.Glob(filepath.Join(dir, "acts", "*"))
	if err != nil {
		return nil, err
	}
	return &pair{
		ours:  func() (int64, error) { return checkRun(ctx, st) },
		bound: func() (int64, error) { return readFiles(files, use) },
		close: func() error { return nil },
	}, nil
}

func checkRun(ctx context.Context, st store.Store) (int64, error) {
	r, err := run.Check(ctx, st, run.CheckOptions{})
	if err == nil && (!r.Sound() || !r.Complete) {
		err = fmt.Errorf("the run made for this is not sound: %q", r.Damage)
	}
	return r.Bytes, err
}

// makeRun writes a plan, its units and the manifest.
func makeRun(ctx context.Context, st store.Store) error {
	schema := benchSchema(6, checkWidth)
	p := run.Plan{
		Format: run.PlanFormat, Model: run.ModelRef{Name: "bench", MaxPositions: checkTokens},
		Data:   run.DataRef{Rows: checkUnits * unitRows},
		Tokens: "last", Dtype: "f16", Scalars: schema.Scalars, Vectors: schema.Vectors,
	}
	for u := range int64(checkUnits + 1) {
		p.Units = append(p.Units, u*unitRows)
	}
	if _, err := run.CreatePlan(ctx, st, p); err != nil {
		return err
	}
	block := newBlock(schema, 1)
	for u := range checkUnits {
		if err := putUnit(ctx, st, p, u, block); err != nil {
			return err
		}
	}
	_, _, err := run.Finish(ctx, st, p)
	return err
}

// putUnit writes a unit of one block again and again, with the rows that belong there.
func putUnit(ctx context.Context, st store.Store, p run.Plan, u int, block *shard.Block) error {
	pending, err := st.Create(ctx, run.UnitKey(u))
	if err != nil {
		return err
	}
	defer pending.Abort()
	w, err := shard.NewWriter(pending, p.Schema(), p.Identity(u))
	if err != nil {
		return err
	}
	rows, tokens := block.Scalars[0].([]int64), block.Scalars[2].([]int32)
	lo, hi := p.UnitRange(u)
	for row := lo; row < hi; row += shard.RowGroupRows {
		for i := range rows {
			rows[i], tokens[i] = row+int64(i), checkTokens
		}
		if err := w.WriteBlock(block); err != nil {
			return err
		}
	}
	if _, err := w.Close(); err != nil {
		return err
	}
	return pending.Commit(ctx)
}

// readFiles reads all files with read(2), in pieces of 1 MiB.
func readFiles(files []string, use func([]byte)) (total int64, err error) {
	sizes := make([]int64, len(files))
	var g errgroup.Group
	g.SetLimit(runtime.GOMAXPROCS(0))
	for i, path := range files {
		g.Go(func() (err error) {
			sizes[i], err = readFile(path, use)
			return err
		})
	}
	err = g.Wait()
	for _, size := range sizes {
		total += size
	}
	return total, err
}

func readFile(path string, use func([]byte)) (n int64, err error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	buf := make([]byte, 1<<20)
	for err == nil {
		var k int
		k, err = f.Read(buf)
		use(buf[:k])
		n += int64(k)
	}
	if info, e := f.Stat(); e == nil && info.Size() == n {
		err = nil
	}
	return n, errors.Join(err, f.Close())
}
