package mirror

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"

	"golang.org/x/sync/errgroup"

	"actfleet/shard"
)

// Want is what a question reads.
type Want struct {
	Columns []string
	// Files are the paths below Dir that are read; nil: all.
	Files func(path string) bool
}

// part is one request: chunks of columns of a file that lie side by side.
type part struct {
	file *file
	span shard.Span
}

// maxPart bounds a request.
const maxPart = 32 << 20

// Cost is how many bytes Fetch would ask for.
func (m *Mirror) Cost(wants []Want) (n int64) {
	for _, p := range m.parts(wants) {
		n += p.span.Size
	}
	return n
}

// Fetch brings what is missing; progress is told after every request and may be nil. After an error columns may be
// incomplete: they count as missing and are fetched again.
func (m *Mirror) Fetch(ctx context.Context, wants []Want, progress func(bytes int64)) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(parallel)
	for _, p := range m.parts(wants) {
		g.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := m.bring(p); err != nil {
				return err
			}
			if progress != nil {
				progress(p.span.Size)
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	for _, f := range m.files {
		for _, column := range f.missing(wants) {
			f.held[column] = true
		}
	}
	return nil
}

func (m *Mirror) bring(p part) (err error) {
	buf := make([]byte, p.span.Size)
	if err := readFull(p.file.object, buf, p.span.Off); err != nil {
		return err
	}
	m.fetched.Add(p.span.Size)
	out, err := os.OpenFile(p.file.path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	if _, err := out.WriteAt(buf, p.span.Off); err != nil {
		return fmt.Errorf("keep a column for DuckDB (TMPDIR says where): %w", err)
	}
	return nil
}

// parts are the requests for what is missing.
func (m *Mirror) parts(wants []Want) (out []part) {
	for _, f := range m.files {
		var spans []shard.Span
		for _, column := range f.missing(wants) {
			for g := range f.reader.NumGroups() {
				if s, ok := f.reader.Chunk(g, column); ok {
					spans = append(spans, s)
				}
			}
		}
		for _, s := range merge(spans) {
			out = append(out, part{f, s})
		}
	}
	return out
}

// missing lists the wanted columns that a file has and that were not fetched.
func (f *file) missing(wants []Want) (columns []string) {
	if f.reader == nil {
		return nil
	}
	for _, w := range wants {
		if w.Files != nil && !w.Files(f.path) {
			continue
		}
		for _, c := range w.Columns {
			if !f.held[c] && !slices.Contains(columns, c) {
				columns = append(columns, c)
			}
		}
	}
	return columns
}

// merge joins spans that touch, and cuts what is longer than a request may be.
func merge(spans []shard.Span) (out []shard.Span) {
	slices.SortFunc(spans, func(a, b shard.Span) int { return cmp.Compare(a.Off, b.Off) })
	for _, s := range spans {
		if n := len(out); n > 0 && out[n-1].End() == s.Off && out[n-1].Size+s.Size <= maxPart {
			out[n-1].Size += s.Size
			continue
		}
		for ; s.Size > maxPart; s = (shard.Span{Off: s.Off + maxPart, Size: s.Size - maxPart}) {
			out = append(out, shard.Span{Off: s.Off, Size: maxPart})
		}
		out = append(out, s)
	}
	return out
}
